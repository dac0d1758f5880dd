"""Figures that compare a few trials."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import plotly.graph_objects as go
from plotly.subplots import make_subplots

from nas.foreign import figure_text
from trials.analysis.profiles import OWN, LayerTime
from trials.reporting.charts.studies import BLUE, GREEN, GREY, ORANGE, PURPLE, RED, SKY, style
from trials.reporting.labels import label, short_goal
from trials.store.read.candidates import CandidateRow

COLORS = (BLUE, ORANGE, GREEN, RED, PURPLE, SKY)
SYMBOLS = ("circle", "diamond", "square", "cross", "triangle-up", "star")


def intervals_figure(rows: Sequence[CandidateRow], metrics: Mapping[str, str]) -> go.Figure:
    """Plot the value and the 95 % interval of each trial, in one panel for each metric (name → direction)."""
    figure = make_subplots(rows=1, cols=max(len(metrics), 1), horizontal_spacing=0.08, shared_yaxes=True)
    for column, (metric, direction) in enumerate(metrics.items(), start=1):
        for place, row in enumerate(rows):
            value = row.value(metric)
            if value is None:
                continue
            known = value.low is not None and value.high is not None
            figure.add_scatter(
                x=[value.value],
                y=[f"trial {row.number}"],
                mode="markers",
                marker={"color": COLORS[place % len(COLORS)], "symbol": SYMBOLS[place % len(SYMBOLS)], "size": 12},
                error_x={
                    "visible": known,
                    "symmetric": False,
                    "array": [(value.high or 0.0) - value.value],
                    "arrayminus": [value.value - (value.low or 0.0)],
                    "thickness": 2,
                    "width": 6,
                },
                name=f"trial {row.number}",
                showlegend=False,
                hovertemplate=f"trial {row.number}<br>{figure_text(label(metric))}: %{{x:.5g}}<extra></extra>",
                row=1,
                col=column,
            )
        figure.update_xaxes(title_text=figure_text(short_goal(metric, direction)), row=1, col=column)
    figure.update_yaxes(autorange="reversed", type="category")
    return style(figure, height=110 + 44 * len(rows)).update_layout(margin_t=15)


def times_figure(times: Mapping[int, Sequence[LayerTime]]) -> go.Figure:
    """Plot one bar per trial: the milliseconds of its layers, in the order of execution.

    Args:
        times: number of a trial → times of its layers.
    """
    figure = go.Figure()
    layers = list(dict.fromkeys(item.layer for found in times.values() for item in found))
    for place, layer in enumerate(layers):
        name = figure_text(layer or OWN)
        own = {number: next((each for each in found if each.layer == layer), None) for number, found in times.items()}
        figure.add_bar(
            y=[f"trial {number}" for number in own],
            x=[item.time_ms if item else 0.0 for item in own.values()],
            orientation="h",
            name=name,
            marker={
                "color": GREY if layer is None else COLORS[place % len(COLORS)],
                "line": {"color": "white", "width": 1},
            },
            hovertemplate=f"{name}<br>%{{y}}: %{{x:.4g}} ms<extra></extra>",
            showlegend=False,
        )
    figure.update_layout(barmode="stack")
    figure.update_yaxes(autorange="reversed")
    figure.update_xaxes(title_text="Time of the layers (ms)")
    return style(figure, height=120 + 50 * len(times)).update_layout(margin_t=15)
