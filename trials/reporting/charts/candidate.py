"""Figures of single candidates: learning curves, raw samples of a latency, profiles."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import plotly.graph_objects as go
from numpy.typing import NDArray
from plotly.subplots import make_subplots

from nas.foreign import figure_text
from trials.analysis.profiles import OWN, LayerTime
from trials.reporting.charts.studies import BLUE, GREEN, GREY, ORANGE, PURPLE, RED, SKY, style
from trials.reporting.labels import counted, label
from trials.store.read.epochs import Curve

Floats = NDArray[np.float64]


def curves_figure(curves: Mapping[int, Curve], names: Sequence[str] | None = None) -> go.Figure:
    """Plot learning curves of candidates by epoch, with one panel per value and one colour per candidate."""
    recorded = dict.fromkeys(key for curve in curves.values() for row in curve.values for key in row)
    hidden = {"learning_rate", "seconds"}
    shown = list(names) if names is not None else [name for name in recorded if name not in hidden]
    figure = make_subplots(rows=1, cols=max(len(shown), 1), horizontal_spacing=0.09)
    colors = (BLUE, ORANGE, GREEN, RED, PURPLE, SKY, GREY)
    dashes = ("solid", "dash", "dot")
    for index, (number, curve) in enumerate(curves.items()):
        line = {
            "color": colors[index % len(colors)],
            "width": 2,
            "dash": dashes[index // len(colors) % len(dashes)],
        }
        for column, name in enumerate(shown, start=1):
            text = f"trial {number}, epoch %{{x}}<br>{figure_text(label(name))}: %{{y:.4g}}<extra></extra>"
            figure.add_scatter(
                x=curve.epochs,
                y=[row.get(name) for row in curve.values],
                mode="lines+markers",
                line=line,
                marker={"size": 5},
                name=f"trial {number}",
                legendgroup=str(number),
                showlegend=column == 1 and len(curves) > 1,
                row=1,
                col=column,
                hovertemplate=text,
            )
    step = -(-max((len(curve.epochs) for curve in curves.values()), default=1) // 8)
    for column, name in enumerate(shown, start=1):
        figure.update_xaxes(title_text="Epoch", dtick=step, row=1, col=column)
        figure.update_yaxes(title_text=figure_text(label(name)), row=1, col=column)
    style(figure, height=360)
    return figure if len(curves) > 1 else figure.update_layout(margin_t=15, height=320)


def latency_figure(
    candidate_ms: Floats,
    reference_ms: Floats,
    ratios: Floats,
    interval: tuple[float, float, float] | None = None,
) -> go.Figure:
    """Plot the raw samples of one latency: run times of candidate and reference model, and their ratios.

    Args:
        candidate_ms: ``(n,)`` wall time of each run of the candidate, milliseconds.
        reference_ms: ``(m,)`` wall time of each run of the interleaved reference, milliseconds.
        ratios: ``(k,)`` candidate over reference, one per visit.
        interval: low end, value and high end of the ratio that is derived from them.
    """
    figure = make_subplots(rows=1, cols=2, column_widths=[0.6, 0.4], horizontal_spacing=0.13)
    _add_runs(figure, {"reference": (reference_ms, ORANGE), "candidate": (candidate_ms, BLUE)})
    _add_ratios(figure, ratios)
    if interval is not None:
        low, middle, high = interval
        figure.add_vrect(low, high, fillcolor=GREY, opacity=0.25, line_width=0, layer="below", row=1, col=2)
        figure.add_vline(middle, line_color=RED, line_width=1.5, line_dash="dash", row=1, col=2)
    figure.update_layout(barmode="overlay", bargap=0.04)
    return style(figure, height=360)


def _add_runs(figure: go.Figure, runs: Mapping[str, tuple[Floats, str]]) -> None:
    """Add histograms of wall times with common bins; the slowest runs are left out and counted in a note."""
    known = [times for times, _ in runs.values() if len(times)]
    start = min((float(times.min()) for times in known), default=0.0)
    end = max((float(np.quantile(times, 0.98)) for times in known), default=1.0)
    bins = {"start": start, "end": end, "size": (end - start) / 60 or 1e-6}
    for name, (times, color) in runs.items():
        text = f"{name}: %{{y}} runs at %{{x}} ms<extra></extra>"
        bars = _bars(times[times <= end], name, color, text).update(xbins=bins, opacity=0.7)
        figure.add_trace(bars, row=1, col=1)
    hidden = sum(int((times > end).sum()) for times in known)
    if hidden:
        _note(figure, f"{counted(hidden, 'slowest run')} not shown")
    figure.update_xaxes(title_text="Run time (ms)", row=1, col=1)
    figure.update_yaxes(title_text="Runs", row=1, col=1)


def _add_ratios(figure: go.Figure, ratios: Floats) -> None:
    text = "%{y} visits at a ratio of %{x}<extra></extra>"
    figure.add_trace(_bars(ratios, "ratio of a visit", GREEN, text).update(nbinsx=25), row=1, col=2)
    tallest = int(np.histogram(ratios, bins=25)[0].max()) if len(ratios) else 1
    figure.update_xaxes(title_text="Candidate ÷ reference", nticks=5, row=1, col=2)
    figure.update_yaxes(title_text="Visits", dtick=-(-tallest // 5), row=1, col=2)


def _bars(values: Floats, name: str, color: str, text: str) -> go.Histogram:
    return go.Histogram(x=values, name=name, marker={"color": color, "line": {"width": 0}}, hovertemplate=text)


def profile_figure(times: Sequence[LayerTime]) -> go.Figure:
    """Plot the time of each layer of a run as a bar, in the order of execution."""
    figure = go.Figure()
    names = [figure_text(item.layer or OWN) for item in times]
    figure.add_bar(
        y=names,
        x=[item.time_ms for item in times],
        orientation="h",
        marker={"color": [BLUE if item.layer else GREY for item in times]},
        text=[f"{item.share:.0%}" for item in times],
        textposition="outside",
        cliponaxis=False,
        customdata=[figure_text(item.ops) for item in times],
        hovertemplate="%{y} (%{customdata}): %{x:.4g} ms<extra></extra>",
    )
    figure.update_yaxes(autorange="reversed", showgrid=False, automargin=True, tickmode="array", tickvals=names)
    figure.update_xaxes(title_text="Time in a profiled run (ms)")
    return style(figure, height=120 + 26 * len(times)).update_layout(margin_t=15, margin_r=60, bargap=0.3)


def _note(figure: go.Figure, text: str) -> None:
    figure.add_annotation(
        text=text, xref="x domain", yref="y domain", x=1, y=1, xanchor="right", yanchor="top", showarrow=False
    )
