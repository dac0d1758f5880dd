"""Figures of studies and candidates: columns of numbers in, plotly figures out.

Backgrounds are transparent and text is mid-grey, so that a figure reads on light and dark pages. Colours are
near the palette of Okabe and Ito (distinguishable with any colour vision) and never the only difference.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import plotly.graph_objects as go
from numpy.typing import NDArray
from plotly.subplots import make_subplots

from trials.labels import goal, label
from trials.membership import SURE
from trials.store.queries import STATES, StudyRow
from trials.store.queries_points import History, Points

BLUE, ORANGE, GREEN, RED, SKY, PURPLE, GREY = (
    "#2f80c2",
    "#e69f00",
    "#009e73",
    "#d55e00",
    "#56b4e9",
    "#cc79a7",
    "#8a8f98",
)
INK = "#6f7680"
GRID = "rgba(128,134,145,0.22)"
STATE_COLORS = dict(zip(STATES, (BLUE, GREY, PURPLE, RED, SKY, "rgba(138,143,152,0.35)"), strict=True))
ROLE_COLORS = {"search": BLUE, "baseline": ORANGE}

#: Dominated candidates drawn at most; the front is always whole.
MOST_DOTS = 4000


def front_figure(
    points: Points,
    limits: Mapping[str, Mapping[str, float]],
    *,
    shares: Mapping[int, float],
    selected: int | None = None,
) -> go.Figure:
    """Scatter of the first column of ``points`` over the second: front with intervals, dominated, infeasible.

    ``shares`` are probabilities to be on the front, by number: whose place there is not sure is drawn hollow. Limits
    on either column are drawn as lines. Infeasible candidates that were never trained lack the first
    column: they stand in a strip of their own below. A mark carries its candidate's number as ``customdata``.
    """
    y, x = points.metrics[0], points.metrics[1]
    trained = np.isfinite(points.values[:, :2]).all(axis=1)
    infeasible = points.states == "infeasible"
    strip = points.take(infeasible & ~trained & np.isfinite(points.values[:, 1]))
    figure = make_subplots(
        rows=2 if len(strip.numbers) else 1,
        cols=1,
        shared_xaxes=True,
        vertical_spacing=0.03,
        row_heights=[0.93, 0.07] if len(strip.numbers) else [1.0],
    )
    best = points.take(points.on_front & trained)
    best = best.take(np.argsort(best.values[:, 1], kind="stable"))
    share = np.array([shares.get(int(number), 0.0) for number in points.numbers])
    beside = trained & ~infeasible & ~points.on_front
    figure.add_trace(_marks(points.take(_thin(trained & infeasible)), "infeasible", GREY, "circle-open", 8))
    figure.add_trace(_marks(points.take(_thin(beside & (share < 1 - SURE))), "dominated", SKY, "circle", 8))
    maybe = points.take(_thin(beside & (share >= 1 - SURE)))
    if len(maybe.numbers):
        figure.add_trace(_marks(maybe, "perhaps on the front", BLUE, "circle-open", 9, shares=shares))
    if set(points.objectives) == {y, x}:
        figure.add_trace(_front_line(best, "hv" if points.directions[1] == "minimize" else "vh"))
    sure = np.array([shares.get(int(number), 0.0) >= SURE for number in best.numbers], dtype=np.bool_)
    for name, rows, symbol in (("Pareto front", sure, "diamond"), ("Pareto front, not sure", ~sure, "diamond-open")):
        if rows.any():
            figure.add_trace(_marks(best.take(rows), name, BLUE, symbol, 11, errors=True, shares=shares))
    if selected is not None:
        figure.add_trace(_ring(points.take(trained & (points.numbers == selected))))
    if len(strip.numbers):
        _add_strip(figure, strip)
    figure.update_yaxes(title_text=goal(y, points.directions[0]), row=1, col=1)
    figure.update_xaxes(title_text=goal(x, points.directions[1]), row=2 if len(strip.numbers) else 1, col=1)
    _add_limits(figure, limits, x, y)
    return style(figure, height=520)


def history_figure(history: History) -> go.Figure:
    """One row an objective over the candidates' numbers, with the best so far; the hypervolume below."""
    rows = len(history.objectives) + 1
    figure = make_subplots(rows=rows, cols=1, shared_xaxes=True, vertical_spacing=0.06)
    for index, (metric, direction) in enumerate(zip(history.objectives, history.directions, strict=True)):
        first = index == 0
        dots = {"color": SKY, "size": 6, "opacity": 0.8}
        text = f"candidate %{{x}}<br>{label(metric)}: %{{y:.4g}}<extra></extra>"
        figure.add_scatter(
            x=history.numbers,
            y=history.values[:, index],
            mode="markers",
            marker=dots,
            name="candidate",
            legendgroup="candidate",
            showlegend=first,
            hovertemplate=text,
            row=index + 1,
            col=1,
        )
        figure.add_scatter(
            x=history.numbers,
            y=history.best[:, index],
            mode="lines",
            line={"color": BLUE, "shape": "hv", "width": 2},
            name="best so far",
            legendgroup="best",
            showlegend=first,
            hoverinfo="skip",
            row=index + 1,
            col=1,
        )
        arrow = "↑" if direction == "maximize" else "↓"
        figure.update_yaxes(title_text=f"{label(metric)} {arrow}", row=index + 1, col=1)
    figure.add_scatter(
        x=history.numbers,
        y=history.hypervolume,
        mode="lines",
        line={"color": GREEN, "shape": "hv", "width": 2.5},
        name="hypervolume",
        hovertemplate="candidate %{x}<br>hypervolume: %{y:.3f}<extra></extra>",
        row=rows,
        col=1,
    )
    figure.update_yaxes(title_text="Hypervolume ↑", rangemode="tozero", row=rows, col=1)
    figure.update_xaxes(title_text="Candidate, in the order of proposal", row=rows, col=1)
    return style(figure, height=190 * rows + 80)


def comparison_figure(histories: Sequence[History]) -> go.Figure:
    """Hypervolume over the budget spent: a line a role, the mean of its replicates, their range as a band."""
    figure = go.Figure()
    for role in dict.fromkeys(history.role for history in histories):
        runs = [history for history in histories if history.role == role and history.last_number >= 0]
        if not runs:
            continue
        grid = np.arange(max(run.last_number for run in runs) + 1)
        lines = np.stack([_filled(run, grid) for run in runs])
        color, name = ROLE_COLORS.get(role, GREEN), role
        if len(runs) > 1:
            name = f"{role}, mean and range of {len(runs)}"
            for edge, fill in ((lines.max(axis=0), None), (lines.min(axis=0), "tonexty")):
                figure.add_scatter(
                    x=grid + 1,
                    y=edge,
                    fill=fill,
                    fillcolor=_faint(color),
                    mode="lines",
                    line={"width": 0, "shape": "hv"},
                    hoverinfo="skip",
                    showlegend=False,
                )
        figure.add_scatter(
            x=grid + 1,
            y=lines.mean(axis=0),
            mode="lines",
            name=name,
            line={
                "color": color,
                "width": 2.5,
                "shape": "hv",
                "dash": "solid" if role == "search" else "dash",
            },
            hovertemplate=f"{role}, after %{{x}} candidates: %{{y:.3f}}<extra></extra>",
        )
    figure.update_xaxes(title_text="Candidates spent")
    figure.update_yaxes(title_text="Hypervolume ↑", rangemode="tozero")
    return style(figure, height=380)


def states_figure(studies: Sequence[StudyRow]) -> go.Figure:
    """One bar a study: how many candidates are in which state."""
    figure = go.Figure()
    names = [study.name for study in studies]
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
    figure.update_yaxes(autorange="reversed", showgrid=False, automargin=True)
    figure.update_xaxes(title_text="Candidates")
    return style(figure, height=110 + 42 * len(names))


def _marks(
    points: Points,
    name: str,
    color: str,
    symbol: str,
    size: int,
    *,
    errors: bool = False,
    shares: Mapping[int, float] | None = None,
) -> go.Scatter | go.Scattergl:
    y, x = points.metrics[0], points.metrics[1]
    text = f"candidate %{{customdata}} ({name})<br>{label(y)}: %{{y:.4g}}<br>{label(x)}: %{{x:.4g}}"
    text += "<br>on the front with probability %{text}" if shares is not None else ""
    bars = {"error_y": _bar(points, 0, color), "error_x": _bar(points, 1, color)} if errors else {}
    kind = go.Scatter if len(points.numbers) < 1000 else go.Scattergl
    return kind(
        x=points.values[:, 1],
        y=points.values[:, 0],
        customdata=points.numbers,
        text=[f"{shares.get(int(number), 0.0):.2f}" for number in points.numbers] if shares is not None else None,
        mode="markers",
        name=name,
        marker={
            "color": color,
            "symbol": symbol,
            "size": size,
            "line": {"width": 1.5 if "open" in symbol else 0},
        },
        hovertemplate=text + "<extra></extra>",
        **bars,
    )


def _bar(points: Points, column: int, color: str) -> dict[str, object]:
    above = points.high[:, column] - points.values[:, column]
    below = points.values[:, column] - points.low[:, column]
    known = bool(np.isfinite(above).any())
    return {
        "visible": known,
        "symmetric": False,
        "array": np.nan_to_num(above),
        "arrayminus": np.nan_to_num(below),
        "color": color,
        "thickness": 1.4,
        "width": 4,
    }


def _front_line(best: Points, shape: str) -> go.Scatter:
    line = {"color": BLUE, "width": 1.5, "shape": shape}
    return go.Scatter(
        x=best.values[:, 1], y=best.values[:, 0], mode="lines", line=line, hoverinfo="skip", showlegend=False
    )


def _ring(points: Points) -> go.Scatter:
    marker = {"color": ORANGE, "symbol": "circle-open", "size": 20, "line": {"width": 3}}
    return go.Scatter(
        x=points.values[:, 1],
        y=points.values[:, 0],
        customdata=points.numbers,
        mode="markers",
        name="selected",
        marker=marker,
        hoverinfo="skip",
    )


def _add_strip(figure: go.Figure, strip: Points) -> None:
    """Candidates rejected before training, under the plot."""
    figure.add_scatter(
        x=strip.values[:, 1],
        y=np.zeros(len(strip.numbers)),
        customdata=strip.numbers,
        mode="markers",
        marker={"color": GREY, "symbol": "line-ns-open", "size": 12, "line": {"width": 1.5}},
        name="rejected before training",
        row=2,
        col=1,
        hovertemplate=f"candidate %{{customdata}}<br>{label(strip.metrics[1])}: %{{x:.4g}}<extra></extra>",
    )
    figure.update_yaxes(visible=False, range=[-1, 1], row=2, col=1)


def _add_limits(figure: go.Figure, limits: Mapping[str, Mapping[str, float]], x: str, y: str) -> None:
    for metric, bounds in limits.items():
        for kind, bound in bounds.items():
            if bound is None or metric not in (x, y):
                continue
            line = {"line_color": RED, "line_dash": "dash", "line_width": 1.5}
            note = {"annotation_text": f"limit {bound:.4g}", "annotation_font_color": RED}
            if metric == x:
                corner = "top right" if kind == "max" else "top left"
                figure.add_vline(bound, **line, **note, annotation_position=corner, row=1, col=1)
            else:
                corner = "top left" if kind == "max" else "bottom left"
                figure.add_hline(bound, **line, **note, annotation_position=corner, row=1, col=1)


def _thin(rows: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Indices of ``rows``, evenly thinned to what a browser draws at once."""
    found = np.flatnonzero(rows)
    return found[:: -(-len(found) // MOST_DOTS) or 1]


def _filled(history: History, grid: NDArray[np.int64]) -> NDArray[np.float64]:
    """The hypervolume at every number of ``grid``: what was reached stays reached."""
    place = np.searchsorted(history.numbers, grid, side="right") - 1
    reached = history.hypervolume[np.maximum(place, 0)] if len(history.hypervolume) else np.zeros(len(grid))
    return np.where(place >= 0, reached, 0.0)


def _faint(color: str) -> str:
    red, green, blue = (int(color[start : start + 2], 16) for start in (1, 3, 5))
    return f"rgba({red},{green},{blue},0.18)"


def style(figure: go.Figure, *, height: int) -> go.Figure:
    """``figure`` in the looks all figures share."""
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
