"""Figures of single candidates: curves of training, raw samples of a latency."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import plotly.graph_objects as go
from numpy.typing import NDArray
from plotly.subplots import make_subplots

from trials.charts import BLUE, GREEN, GREY, ORANGE, PURPLE, RED, SKY, style
from trials.labels import label
from trials.store.queries_candidate import Curve

Floats = NDArray[np.float64]


def curves_figure(curves: Mapping[int, Curve], names: Sequence[str] | None = None) -> go.Figure:
    """Curves of candidates by epoch: a panel a value, a colour a candidate."""
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
            figure.add_scatter(
                x=curve.epochs,
                y=[row.get(name) for row in curve.values],
                mode="lines+markers",
                line=line,
                marker={"size": 5},
                name=f"candidate {number}",
                legendgroup=str(number),
                showlegend=column == 1 and len(curves) > 1,
                row=1,
                col=column,
                hovertemplate=f"candidate {number}, epoch %{{x}}<br>{label(name)}: %{{y:.4g}}<extra></extra>",
            )
    for column, name in enumerate(shown, start=1):
        figure.update_xaxes(title_text="Epoch", row=1, col=column)
        figure.update_yaxes(title_text=label(name), row=1, col=column)
    return style(figure, height=360)


def latency_figure(candidate_ms: Floats, reference_ms: Floats, ratios: Floats) -> go.Figure:
    """Raw samples of one latency: run times beside those of the reference model, and the ratios of both.

    Args:
        candidate_ms: ``(n,)`` wall time of each run, milliseconds.
        reference_ms: ``(m,)`` the same of the interleaved reference.
        ratios: ``(k,)`` candidate over reference, one a burst.
    """
    figure = make_subplots(rows=1, cols=2, column_widths=[0.62, 0.38], horizontal_spacing=0.1)
    end = max(
        (float(np.quantile(times, 0.98)) for times in (candidate_ms, reference_ms) if len(times)), default=0.0
    )
    start = min((float(times.min()) for times in (candidate_ms, reference_ms) if len(times)), default=0.0)
    bins = {"start": start, "end": end, "size": (end - start) / 60 or 1e-6}
    for times, name, color in ((reference_ms, "reference model", ORANGE), (candidate_ms, "candidate", BLUE)):
        figure.add_histogram(
            x=times[times <= end],
            xbins=bins,
            name=name,
            marker={"color": color, "line": {"width": 0}},
            opacity=0.65,
            hovertemplate=f"{name}: %{{y}} runs at %{{x}} ms<extra></extra>",
            row=1,
            col=1,
        )
    figure.add_histogram(
        x=ratios,
        nbinsx=25,
        name="ratio of a burst",
        marker={"color": GREEN, "line": {"width": 0}},
        hovertemplate="%{y} bursts at a ratio of %{x}<extra></extra>",
        row=1,
        col=2,
    )
    hidden = sum(int((times > end).sum()) for times in (candidate_ms, reference_ms))
    note = f" ({hidden} slowest not shown)" if hidden else ""
    figure.update_xaxes(title_text=f"Wall time of a run (ms){note}", row=1, col=1)
    figure.update_yaxes(title_text="Runs", row=1, col=1)
    figure.update_xaxes(title_text="Candidate ÷ reference", row=1, col=2)
    figure.update_yaxes(title_text="Bursts", row=1, col=2)
    figure.update_layout(barmode="overlay", bargap=0.04)
    return style(figure, height=360)
