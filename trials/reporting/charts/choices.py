"""Figures of the choices of a space: importances, effects of answers, pairs of choices, parallel coordinates."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import plotly.graph_objects as go

from nas.foreign import figure_text, line
from trials.analysis.choice_importance import Importances
from trials.analysis.choices import ChoiceResults, Effect, PairMeans
from trials.reporting.charts.studies import BLUE, GREY, ORANGE, style
from trials.reporting.labels import goal, inline, label, number

#: Most cells of a heat map that show their mean as text.
_MAX_TEXTS = 60
#: From low to high; readable with any colour vision, on light and dark pages.
_SCALE = "Cividis"


def importance_figure(found: Importances, names: Sequence[str], metric: str) -> go.Figure:
    """Plot the importance of some choices for an objective with its 95 % interval."""
    row, places = found.metrics.index(metric), [found.names.index(name) for name in names]
    values, low, high = (each[row, places] for each in (found.values, found.low, found.high))
    figure = go.Figure(
        go.Bar(
            x=values,
            y=[figure_text(name) for name in names],
            orientation="h",
            marker={"color": BLUE},
            error_x={
                "symmetric": False,
                "array": high - values,
                "arrayminus": values - low,
                "color": GREY,
                "thickness": 2,
            },
            customdata=np.stack([low, high], axis=1),
            hovertemplate="%{y}: %{x:.3f}, 95 % from %{customdata[0]:.3f} to %{customdata[1]:.3f}<extra></extra>",
        )
    )
    figure.update_yaxes(autorange="reversed", type="category", automargin=True)
    longest = float(found.high[:, places].max(initial=0.01))
    figure.update_xaxes(title_text=f"Importance for {figure_text(inline(metric))}", range=[0, 1.05 * longest])
    return style(figure, height=90 + 27 * len(names)).update_layout(margin_t=10, bargap=0.4)


def effects_figure(found: Sequence[Effect], results: ChoiceResults, choice: str, metric: str) -> go.Figure:
    """Plot the mean of an objective with its 95 % interval by the answer to a choice."""
    place = results.metrics.index(metric)
    means = np.stack([effect.means[place] for effect in found])
    figure = go.Figure(
        go.Scatter(
            x=[figure_text(effect.answer) for effect in found],
            y=means[:, 0],
            mode="markers",
            marker={"color": BLUE, "size": 10},
            error_y={
                "symmetric": False,
                "array": np.nan_to_num(means[:, 2] - means[:, 0]),
                "arrayminus": np.nan_to_num(means[:, 0] - means[:, 1]),
                "thickness": 2,
                "width": 6,
            },
            customdata=[effect.count for effect in found],
            hovertemplate="%{x}: %{y:.4g}, mean of %{customdata} trials<extra></extra>",
        )
    )
    figure.add_hline(y=float(results.values[:, place].mean()), line={"color": ORANGE, "dash": "dash", "width": 1.5})
    figure.update_yaxes(title_text=figure_text(goal(metric, results.directions[place])))
    figure.update_xaxes(type="category", title_text=figure_text(choice))
    return style(figure, height=340).update_layout(margin_t=15)


def pair_figure(pair: PairMeans, first: str, second: str, metric: str) -> go.Figure:
    """Plot the mean of an objective for each pair of answers to two choices as a heat map."""
    shown = pair.means.size <= _MAX_TEXTS
    texts = [
        [f"{number(metric, mean)}<br>n={count}" if count else "" for mean, count in zip(means, counts, strict=True)]
        for means, counts in zip(pair.means.tolist(), pair.counts.tolist(), strict=True)
    ]
    figure = go.Figure(
        go.Heatmap(
            z=pair.means,
            x=[figure_text(answer) for answer in pair.second],
            y=[figure_text(answer) for answer in pair.first],
            text=texts if shown else None,
            texttemplate="%{text}" if shown else None,
            customdata=np.stack([pair.counts, pair.interactions], axis=2),
            hovertemplate=f"{figure_text(first)} %{{y}}, {figure_text(second)} %{{x}}<br>mean %{{z:.4g}} of "
            "%{customdata[0]} trials<br>beyond both single effects: %{customdata[1]:+.3g}<extra></extra>",
            hoverongaps=False,
            colorscale=_SCALE,
            xgap=2,
            ygap=2,
            colorbar={"thickness": 12, "title": {"text": figure_text(label(metric)), "side": "right"}},
        )
    )
    figure.update_xaxes(type="category", title_text=figure_text(second), showgrid=False)
    figure.update_yaxes(type="category", title_text=figure_text(first), showgrid=False, automargin=True)
    return style(figure, height=160 + 50 * min(len(pair.first), 8)).update_layout(margin_t=15)


def parallel_figure(results: ChoiceResults, names: Sequence[str], metric: str) -> go.Figure:
    """Plot each trial as a line through its answers to some choices and its objectives, coloured by one objective."""
    dimensions = [_answers_axis(results, name) for name in names]
    for column, key in enumerate(results.metrics):
        dimensions.append({"label": figure_text(label(key)), "values": results.values[:, column]})
    figure = go.Figure(
        go.Parcoords(
            dimensions=dimensions,
            line={
                "color": results.values[:, results.metrics.index(metric)],
                "colorscale": _SCALE,
                "showscale": True,
                "colorbar": {"thickness": 12, "title": {"text": figure_text(label(metric)), "side": "right"}},
            },
        )
    )
    return style(figure, height=420).update_layout(margin={"t": 60, "l": 90, "r": 90, "b": 30})


def _answers_axis(results: ChoiceResults, name: str) -> dict[str, object]:
    """An axis with one place per answer; "no effect" is the lowest. Lines are spread a little, to show their number."""
    answers = results.answers(name)
    spread = np.random.default_rng(0).uniform(-0.15, 0.15, len(results.numbers))
    return {
        "label": figure_text(name),
        "values": results.column(name) + spread,
        "tickvals": list(answers),
        "ticktext": [line(answer) for answer in answers.values()],
        "range": [min(answers) - 0.2, max(answers) + 0.2],
    }
