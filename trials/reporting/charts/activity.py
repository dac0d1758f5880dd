"""The timeline of a study's jobs."""

from __future__ import annotations

from collections.abc import Sequence

import plotly.graph_objects as go

from nas.foreign import figure_text
from trials.analysis.activity import Bar
from trials.reporting.charts.studies import BLUE, GREEN, GREY, ORANGE, PURPLE, RED, SKY, style
from trials.reporting.labels import duration

#: Kind of a job → its colour.
COLORS = {
    "train": BLUE,
    "rung": SKY,
    "retrain": PURPLE,
    "gate": ORANGE,
    "measure": GREEN,
    "remeasure": "#8fbf3f",
    "twin": "#b8860b",
}


def timeline_figure(bars: Sequence[Bar]) -> go.Figure:
    """Plot one bar per job in the row of its worker or target; striped bars run, red edges failed."""
    figure = go.Figure()
    for kind in dict.fromkeys(bar.kind for bar in bars):
        own = [bar for bar in bars if bar.kind == kind]
        figure.add_bar(
            base=[bar.start.isoformat() for bar in own],
            x=[1000 * bar.seconds for bar in own],
            y=[figure_text(bar.row) for bar in own],
            orientation="h",
            name=figure_text(kind),
            marker={
                "color": COLORS.get(kind, GREY),
                "pattern": {"shape": ["/" if bar.job.state == "running" else "" for bar in own]},
                "line": {
                    "color": [RED if bar.job.state == "failed" else "rgba(128,134,145,0.6)" for bar in own],
                    "width": [2 if bar.job.state == "failed" else 0.5 for bar in own],
                },
            },
            customdata=[
                [bar.job.number, figure_text(bar.job.kind), figure_text(bar.job.state), duration(bar.seconds)]
                for bar in own
            ],
            hovertemplate="trial %{customdata[0]}: %{customdata[1]} on %{y}<br>%{customdata[2]}, %{customdata[3]}"
            "<extra></extra>",
        )
    ordered = sorted(bars, key=lambda bar: (bar.pool, bar.lane))
    rows = list(dict.fromkeys(bar.row for bar in ordered))
    figure.update_layout(barmode="overlay", bargap=0.3)
    figure.update_xaxes(type="date", title_text="Time (UTC)", nticks=4, tickangle=0)
    figure.update_yaxes(
        categoryorder="array",
        categoryarray=[figure_text(row) for row in rows],
        autorange="reversed",
        automargin=True,
        showgrid=False,
    )
    return style(figure, height=150 + 42 * len(rows))
