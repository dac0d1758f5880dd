"""Figures of studies, and the style that all figures share.

Backgrounds are transparent and text is mid-grey, so that a figure is readable on light and dark pages. The colours are
close to the palette of Okabe and Ito, which is distinguishable with any colour vision, and never the only difference.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import plotly.graph_objects as go
from numpy.typing import NDArray
from plotly.subplots import make_subplots

from nas.foreign import figure_text
from trials.analysis.histories import History
from trials.reporting.labels import label, short_goal
from trials.store.read.studies import STATES, StudyRow

BLUE, ORANGE, GREEN, RED, SKY, PURPLE, GREY = (
    "#2f80c2",
    "#e69f00",
    "#009e73",
    "#d55e00",
    "#56b4e9",
    "#cc79a7",
    "#8a8f98",
)
#: Largest number of trials to draw in a history; the lines of best values are always drawn completely.
MAX_HISTORY_DOTS = 2000
#: Figures with more dots are drawn by WebGL, which needs no element of the page for each.
MAX_SVG_DOTS = 200
#: Largest number of letters of a name beside a bar; the hover box has the whole name.
MAX_NAME_LETTERS = 24
INK = "#6f7680"
GRID = "rgba(128,134,145,0.22)"
STATE_COLORS = dict(zip(STATES, (BLUE, GREY, GREEN, ORANGE, PURPLE, RED, SKY, "rgba(138,143,152,0.35)"), strict=True))
ROLE_COLORS = {"search": BLUE, "baseline": ORANGE}


def history_figure(history: History) -> go.Figure:
    """Plot each objective by trial number in its own row, with the best value so far, and the hypervolume below."""
    rows = len(history.objectives) + 1
    figure = make_subplots(rows=rows, cols=1, shared_xaxes=True, vertical_spacing=0.06)
    for index in range(len(history.objectives)):
        _add_objective(figure, history, index)
    changes = _changes(history.hypervolume)
    figure.add_scatter(
        x=history.numbers[changes],
        y=history.hypervolume[changes],
        mode="lines",
        line={"color": GREEN, "shape": "hv", "width": 2.5},
        name="hypervolume",
        hovertemplate="trial %{x}<br>hypervolume: %{y:.3f}<extra></extra>",
        row=rows,
        col=1,
    )
    figure.update_yaxes(title_text="Hypervolume ↑", rangemode="tozero", row=rows, col=1)
    figure.update_xaxes(title_text="Trial, in the order of proposal", row=rows, col=1)
    return style(figure, height=190 * rows + 80)


def _add_objective(figure: go.Figure, history: History, index: int) -> None:
    """Add the row of an objective: one dot per candidate, and a line of the best value so far."""
    metric, row, first = history.objectives[index], index + 1, index == 0
    name = figure_text(label(metric))
    text = f"trial %{{x}}<br>{name}: %{{y:.4g}}<extra></extra>"
    dots: dict[str, object] = {"name": "trial", "legendgroup": "trial", "hovertemplate": text}
    marker = {"color": SKY, "size": 6, "opacity": 0.8}
    kept = thin(np.arange(len(history.numbers)), MAX_HISTORY_DOTS)
    dots |= {"x": history.numbers[kept], "y": history.values[kept, index], "mode": "markers", "marker": marker}
    best: dict[str, object] = {"name": "best so far", "legendgroup": "best", "hoverinfo": "skip"}
    line, changes = {"color": BLUE, "shape": "hv", "width": 2}, _changes(history.best[:, index])
    best |= {"x": history.numbers[changes], "y": history.best[changes, index], "mode": "lines", "line": line}
    dots_kind = go.Scattergl if len(kept) > MAX_SVG_DOTS else go.Scatter
    figure.add_trace(dots_kind(**dots, showlegend=first), row=row, col=1)
    figure.add_scatter(**best, showlegend=first, row=row, col=1)
    figure.update_yaxes(title_text=figure_text(short_goal(metric, history.directions[index])), row=row, col=1)


def thin(rows: NDArray[np.int64], most: int) -> NDArray[np.int64]:
    """Return at most ``most`` of the rows, evenly spread."""
    return rows[:: -(-len(rows) // most) or 1]


def _changes(values: NDArray[np.float64]) -> NDArray[np.int64]:
    """Return the rows at which a line of steps changes, and its ends."""
    if not len(values):
        return np.empty(0, dtype=np.int64)
    changed = np.append(True, values[1:] != values[:-1])
    changed[-1] = True
    return np.flatnonzero(changed)


def comparison_figure(histories: Sequence[History]) -> go.Figure:
    """Plot hypervolume by number of trials: for each role the mean of its replicates, and their range as a band."""
    figure = go.Figure()
    for role in dict.fromkeys(history.role for history in histories):
        runs = [history for history in histories if history.role == role and history.last_number >= 0]
        if runs:
            _add_role(figure, role, runs)
    figure.update_xaxes(title_text="Trials spent")
    figure.update_yaxes(title_text="Hypervolume ↑", rangemode="tozero")
    return style(figure, height=380)


def _add_role(figure: go.Figure, role: str, runs: Sequence[History]) -> None:
    grid = np.arange(max(run.last_number for run in runs) + 1)
    lines = np.stack([run.reached(grid) for run in runs])
    color, shown = ROLE_COLORS.get(role, GREEN), figure_text(role)
    name = shown
    if len(runs) > 1:
        name = f"{shown}, mean and range of {len(runs)}"
        _add_band(figure, grid + 1, lines, color)
    dash = "solid" if role == "search" else "dash"
    mean = lines.mean(axis=0)
    figure.add_scatter(
        x=grid[_changes(mean)] + 1,
        y=mean[_changes(mean)],
        mode="lines",
        name=name,
        line={"color": color, "width": 2.5, "shape": "hv", "dash": dash},
        hovertemplate=f"{shown}, after %{{x}} trials: %{{y:.3f}}<extra></extra>",
    )


def _add_band(figure: go.Figure, spent: NDArray[np.int64], lines: NDArray[np.float64], color: str) -> None:
    """Add a band between the smallest and largest of ``lines``, ``(runs, spent)``."""
    for edge, fill in ((lines.max(axis=0), None), (lines.min(axis=0), "tonexty")):
        changes = _changes(edge)
        figure.add_scatter(
            x=spent[changes],
            y=edge[changes],
            fill=fill,
            fillcolor=_faint(color),
            mode="lines",
            line={"width": 0, "shape": "hv"},
            hoverinfo="skip",
            showlegend=False,
        )


def states_figure(studies: Sequence[StudyRow]) -> go.Figure:
    """Plot one bar per study: the number of candidates in each state."""
    figure = go.Figure()
    names = [figure_text(study.name) for study in studies]
    shown = [figure_text(_shortened(study.name)) for study in studies]
    for state in STATES:
        counts = [study.counts.get(state, 0) for study in studies]
        if any(counts):
            figure.add_bar(
                y=names,
                x=counts,
                orientation="h",
                name=state,
                marker={"color": STATE_COLORS[state]},
                text=[count or "" for count in counts],
                textposition="inside",
                insidetextanchor="middle",
                hovertemplate=f"%{{y}}: %{{x}} {state}<extra></extra>",
            )
    figure.update_layout(barmode="stack", bargap=0.35)
    figure.update_yaxes(autorange="reversed", showgrid=False, automargin=True, tickvals=names, ticktext=shown)
    figure.update_xaxes(title_text="Trials")
    return style(figure, height=110 + 42 * len(names))


def _shortened(name: str) -> str:
    """A name that leaves room for bars on a narrow screen."""
    return name if len(name) <= MAX_NAME_LETTERS else f"{name[: MAX_NAME_LETTERS - 1]}…"


def _faint(color: str) -> str:
    red, green, blue = (int(color[start : start + 2], 16) for start in (1, 3, 5))
    return f"rgba({red},{green},{blue},0.18)"


def style(figure: go.Figure, *, height: int) -> go.Figure:
    """Apply the style that all figures share, and return the figure."""
    figure.update_layout(
        height=height,
        margin={"l": 70, "r": 25, "t": 50, "b": 60},
        paper_bgcolor="rgba(0,0,0,0)",
        plot_bgcolor="rgba(0,0,0,0)",
        font={"color": INK, "size": 13, "family": "system-ui, -apple-system, 'Segoe UI', Roboto, sans-serif"},
        legend={
            "orientation": "h",
            "traceorder": "normal",
            "yanchor": "bottom",
            "y": 1.02,
            "x": 0,
            "xanchor": "left",
        },
        hoverlabel={"font_size": 13},
        modebar={"orientation": "v", "bgcolor": "rgba(0,0,0,0)", "color": INK, "activecolor": BLUE},
        clickmode="event+select",
    )
    figure.update_xaxes(gridcolor=GRID, zeroline=False, title_standoff=12)
    figure.update_yaxes(gridcolor=GRID, zeroline=False, title_standoff=8)
    return figure
