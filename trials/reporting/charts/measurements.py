"""Figures of measurements: drift of targets over time, and first measurements beside repeats."""

from __future__ import annotations

from collections.abc import Sequence

import plotly.graph_objects as go

from nas.foreign import figure_text
from trials.analysis.measurements import Canary, Repeat
from trials.reporting.charts.studies import BLUE, GREEN, GREY, ORANGE, PURPLE, RED, SKY, style
from trials.store.read.measurements import Measured

COLORS = (BLUE, ORANGE, GREEN, PURPLE, SKY)
SYMBOLS = ("circle", "diamond", "square", "cross", "triangle-up")
#: Purpose of a measurement → its colour and symbol.
LOOKS = {
    "gate": (BLUE, "circle"),
    "final": (GREEN, "square"),
    "audit": (PURPLE, "triangle-up"),
    "remeasure": (ORANGE, "diamond"),
}


def drift_figure(found: Sequence[Canary], max_drift: float) -> go.Figure:
    """Plot the drift of each target over time, with one dot per canary, and the limit above which a target waits."""
    figure = go.Figure()
    for place, target in enumerate(dict.fromkeys(item.target for item in found)):
        own = [item for item in found if item.target == target]
        color, symbol = COLORS[place % len(COLORS)], SYMBOLS[place % len(SYMBOLS)]
        warned = [bool(item.health.warnings) for item in own]
        name = figure_text(target)
        figure.add_scatter(
            x=[item.at for item in own],
            y=[item.health.drift for item in own],
            mode="markers",
            marker={"color": color, "size": 9, "symbol": [symbol + "-open" * warn for warn in warned]},
            name=name,
            showlegend=True,
            customdata=[_said(item) for item in own],
            hovertemplate=f"{name}, %{{x}}<br>drift %{{y:.1%}}<br>%{{customdata}}<extra></extra>",
        )
    figure.add_hline(
        max_drift,
        line={"color": RED, "dash": "dash", "width": 1.5},
        annotation={"text": f"waits above {max_drift:.0%}", "font_color": RED},
    )
    figure.update_yaxes(title_text="Slower than calibrated", tickformat="+.0%", zeroline=True, zerolinecolor=GREY)
    figure.update_xaxes(title_text="Time (UTC)", nticks=4, tickangle=0)
    return style(figure, height=320)


def _said(item: Canary) -> str:
    """Return a canary's warnings, one a line; few and short, because a hover box has little room."""
    rows = [f"{item.count} measurements after it", *item.health.warnings[:4]]
    return "<br>".join(figure_text(row[:120]) for row in rows)


def repeats_figure(found: Sequence[Repeat]) -> go.Figure:
    """Plot the measurements of each trial with their intervals, all divided by the trial's first latency."""
    figure = go.Figure()
    several = len({item.target for item in found}) > 1
    names = [f"trial {item.number}" + (f" at {figure_text(item.target)}" if several else "") for item in found]
    points = [(name, item, row) for name, item in zip(names, found, strict=True) for row in (item.first, *item.again)]
    for purpose, (color, symbol) in LOOKS.items():
        own = [point for point in points if point[2].purpose == purpose]
        if own:
            figure.add_trace(_points(purpose, own).update(marker={"color": color, "symbol": symbol, "size": 10}))
    figure.add_vline(1.0, line={"color": GREY, "width": 1, "dash": "dot"})
    figure.update_xaxes(title_text="Latency ÷ first latency of the trial", tickformat=".3~f")
    figure.update_yaxes(
        autorange="reversed", type="category", categoryorder="array", categoryarray=names, automargin=True
    )
    return style(figure, height=150 + 30 * len(found))


def _points(purpose: str, points: Sequence[tuple[str, Repeat, Measured]]) -> go.Scatter:
    ratios = [_ratios(item, row) for _, item, row in points]
    return go.Scatter(
        x=[ratio for _, ratio, _ in ratios],
        y=[name for name, _, _ in points],
        mode="markers",
        error_x={
            "symmetric": False,
            "array": [high - ratio for _, ratio, high in ratios],
            "arrayminus": [ratio - low for low, ratio, _ in ratios],
            "thickness": 2,
            "width": 5,
        },
        name=purpose,
        showlegend=True,
        customdata=[row.latency.value for _, _, row in points],
        hovertemplate=f"%{{y}}, {purpose}: %{{customdata:.5g}} ms, %{{x:.3f}} of the first<extra></extra>",
    )


def _ratios(item: Repeat, row: Measured) -> tuple[float, float, float]:
    """Return low end, value and high end of a latency divided by the first one."""
    base, value = item.first.latency.value, row.latency
    low = value.value if value.low is None else value.low
    high = value.value if value.high is None else value.high
    return low / base, value.value / base, high / base
