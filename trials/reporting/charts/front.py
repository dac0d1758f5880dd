"""The figure of a front: candidates on two metrics, front and dominated ones, and the limits."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence

import numpy as np
import plotly.graph_objects as go
from numpy.typing import NDArray
from plotly.subplots import make_subplots

from nas.foreign import figure_text
from trials.analysis.membership import SURE
from trials.reporting.charts.studies import BLUE, GREY, MAX_SVG_DOTS, ORANGE, RED, SKY, style, thin
from trials.reporting.labels import goal, label, unit
from trials.store.read.imported import ImportedNetwork
from trials.store.read.points import Points

#: Largest number of dominated candidates to draw; the front is always drawn completely.
MAX_DOTS = 4000
#: Largest number of rejected candidates to draw.
MAX_STRIP = 200
#: An axis of times, sizes or counts is logarithmic if its largest value exceeds the smallest by more than this factor.
WIDE = 10.0
SCALES = AUTOMATIC, LINEAR, LOG = "automatic", "linear", "logarithmic"
COUNTS = ("parameters", "nonzero_parameters", "macs")


def front_figure(
    points: Points,
    limits: Mapping[str, Mapping[str, float]],
    *,
    shares: Mapping[int, float],
    selected: int | None = None,
    imported: Sequence[ImportedNetwork] = (),
    scales: tuple[str, str] = (AUTOMATIC, AUTOMATIC),
) -> go.Figure:
    """Plot the first column of ``points`` over the second: front with intervals, dominated and infeasible candidates.

    ``shares`` maps numbers to probabilities to be on the front; uncertain candidates are drawn hollow. Limits on either
    column are drawn as lines. Infeasible candidates that were never trained lack the first column and are drawn in a
    strip below. Each mark has its candidate's number as ``customdata``; the marks of ``imported`` networks have none.
    ``scales``: one of ``SCALES`` for each of the two columns; with values that are not positive, an axis is linear.
    """
    trained = np.isfinite(points.values[:, :2]).all(axis=1)
    timed = np.isfinite(points.values[:, 1])
    shown, strip = points.take(trained), points.take((points.states == "infeasible") & ~trained & timed)
    figure = _canvas(points, rows=2 if len(strip.numbers) else 1)
    for trace in (*_beside(shown, shares), *_front(shown, shares)):
        figure.add_trace(trace)
    original = shown.take(shown.numbers == shown.original)
    if len(original.numbers):
        figure.add_trace(_original(original))
    beside = [item for item in imported if set(points.metrics[:2]) <= set(item.metrics)]
    if beside:
        figure.add_trace(_imported(beside, points.metrics))
    if selected is not None:
        figure.add_trace(_ring(shown.take(shown.numbers == selected)))
    if len(strip.numbers):
        _add_strip(figure, strip)
    ys, xs = ([item.metrics[metric].value for item in beside] for metric in points.metrics[:2])
    seen = np.append(shown.values[:, 0], ys), np.append(points.values[timed, 1], xs)
    _set_scales(figure, points.metrics, *seen, scales)
    _add_limits(figure, limits, points.metrics)
    return style(figure, height=520)


def show_part(figure: go.Figure, across: Sequence[float | None], up: Sequence[float | None]) -> None:
    """Show a part of a figure of a front, from which to which value of both axes; None: the end of the values."""
    if any(end is not None for end in across):
        figure.update_xaxes(range=_range(figure.layout.xaxis, across))
    if any(end is not None for end in up):
        figure.update_yaxes(range=_range(figure.layout.yaxis, up), row=1, col=1)


def _range(axis: go.layout.XAxis | go.layout.YAxis, ends: Sequence[float | None]) -> list[float | None]:
    """Return ends as plotly wants them: a logarithmic axis takes logarithms, and has no values up to 0."""
    if axis.type != "log":
        return list(ends)
    return [math.log10(end) if end is not None and end > 0 else None for end in ends]


def _canvas(points: Points, rows: int) -> go.Figure:
    """Create the axes with their titles; the second row is the strip below the plot."""
    figure = make_subplots(rows=rows, cols=1, shared_xaxes=True, vertical_spacing=0.03, row_heights=[0.93, 0.07][:rows])
    figure.update_yaxes(title_text=figure_text(goal(points.metrics[0], points.directions[0])), row=1, col=1)
    figure.update_xaxes(title_text=figure_text(goal(points.metrics[1], points.directions[1])), row=rows, col=1)
    return figure


def _beside(shown: Points, shares: Mapping[int, float]) -> Iterator[go.Scatter | go.Scattergl]:
    """Yield traces of the candidates that are not on the front."""
    infeasible = shown.states == "infeasible"
    beside = ~infeasible & ~shown.on_front
    doubtful = _share(shown, shares) >= 1 - SURE
    yield _marks(shown.take(thin(np.flatnonzero(infeasible), MAX_DOTS)), "infeasible", GREY, "circle-open", 8)
    yield _marks(shown.take(thin(np.flatnonzero(beside & ~doubtful), MAX_DOTS)), "dominated", SKY, "circle", 8)
    maybe = shown.take(thin(np.flatnonzero(beside & doubtful), MAX_DOTS))
    if len(maybe.numbers):
        yield _marks(maybe, "perhaps on the front", BLUE, "circle-open", 9, shares=shares)


def _front(shown: Points, shares: Mapping[int, float]) -> Iterator[go.Scatter | go.Scattergl]:
    """Yield traces of the candidates on the front, and if both axes are objectives, the line that connects them."""
    best = shown.take(shown.on_front)
    best = best.take(np.argsort(best.values[:, 1], kind="stable"))
    if set(shown.objectives) == set(shown.metrics[:2]):
        yield _front_line(best, "hv" if shown.directions[1] == "minimize" else "vh")
    sure = _share(best, shares) >= SURE
    for name, rows, symbol in (("Pareto front", sure, "diamond"), ("Pareto front, not sure", ~sure, "diamond-open")):
        if rows.any():
            yield _marks(best.take(rows), name, BLUE, symbol, 11, errors=True, shares=shares)


def _share(points: Points, shares: Mapping[int, float]) -> NDArray[np.float64]:
    """Return the probabilities to be on the front, ``(n,)``."""
    return np.array([shares.get(int(number), 0.0) for number in points.numbers], dtype=np.float64)


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
    y, x = (figure_text(label(metric)) for metric in points.metrics[:2])
    text = f"trial %{{customdata}} ({name})<br>{y}: %{{y:.4g}}<br>{x}: %{{x:.4g}}"
    text += "<br>on the front with probability %{text}" if shares is not None else ""
    bars = {"error_y": _bar(points, 0, color), "error_x": _bar(points, 1, color)} if errors else {}
    kind = go.Scattergl if len(points.numbers) > MAX_SVG_DOTS else go.Scatter
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


def _original(points: Points) -> go.Scatter:
    """Return a labelled mark of the original."""
    trace = _marks(points, "original", ORANGE, "star", 14)
    return trace.update(mode="markers+text", text=["original"], textposition="top center")


def _imported(networks: Sequence[ImportedNetwork], metrics: Sequence[str]) -> go.Scatter:
    """Return labelled marks of networks of the user."""
    y, x = ([item.metrics[metric].value for item in networks] for metric in metrics[:2])
    return go.Scatter(
        x=x,
        y=y,
        mode="markers+text",
        name="imported",
        text=[figure_text(item.name) for item in networks],
        textposition="top center",
        marker={"color": RED, "symbol": "x", "size": 11},
        hovertemplate=f"%{{text}} (imported)<br>{figure_text(label(metrics[0]))}: %{{y:.4g}}<br>"
        f"{figure_text(label(metrics[1]))}: %{{x:.4g}}<extra></extra>",
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
    """Add the candidates that were rejected before the training, in a strip below the plot."""
    strip = strip.take(thin(np.arange(len(strip.numbers)), MAX_STRIP))
    figure.add_scatter(
        x=strip.values[:, 1],
        y=np.zeros(len(strip.numbers)),
        customdata=strip.numbers,
        mode="markers",
        marker={"color": GREY, "symbol": "line-ns-open", "size": 12, "line": {"width": 1.5}},
        name="rejected before training",
        row=2,
        col=1,
        hovertemplate=f"trial %{{customdata}}<br>{figure_text(label(strip.metrics[1]))}: %{{x:.4g}}<extra></extra>",
    )
    figure.update_yaxes(visible=False, range=[-1, 1], row=2, col=1)


def _set_scales(
    figure: go.Figure,
    metrics: tuple[str, ...],
    ys: NDArray[np.float64],
    xs: NDArray[np.float64],
    scales: tuple[str, str],
) -> None:
    """Make axes logarithmic that are asked to be, or whose values span more than a factor of ten."""
    if _is_log(metrics[1], xs, scales[1]):
        figure.update_xaxes(type="log", tickformat=_digits(xs), nticks=4)
    if _is_log(metrics[0], ys, scales[0]):
        figure.update_yaxes(type="log", tickformat=_digits(ys), row=1, col=1)


def _is_log(metric: str, values: NDArray[np.float64], scale: str) -> bool:
    """Whether an axis is logarithmic; automatic ones are if they would squeeze the front otherwise."""
    if scale == LINEAR or not len(values) or values.min() <= 0:
        return False
    return scale == LOG or _is_wide(metric, values)


def _digits(values: NDArray[np.float64]) -> str:
    """Return a tick format that writes full numbers (``0.2``, ``20k``); plotly's default writes only the last digit."""
    return "~g" if values.min() < 1 else "~s"


def _is_wide(metric: str, values: NDArray[np.float64]) -> bool:
    """Whether positive values are times, sizes or counts that span more than a factor of ten."""
    return bool((unit(metric) or metric in COUNTS) and values.max() > WIDE * values.min())


def _add_limits(figure: go.Figure, limits: Mapping[str, Mapping[str, float]], metrics: tuple[str, ...]) -> None:
    for metric, bounds in limits.items():
        for kind, bound in bounds.items():
            if bound is not None and metric in metrics[:2]:
                _add_limit(figure, bound, kind, upright=metric == metrics[1])


def _add_limit(figure: go.Figure, bound: float, kind: str, *, upright: bool) -> None:
    line = {"line_color": RED, "line_dash": "dash", "line_width": 1.5}
    note: dict[str, object] = {"annotation_text": f"limit {bound:.4g}", "annotation_font_color": RED}
    axis = figure.layout.xaxis if upright else figure.layout.yaxis
    note["annotation_x" if upright else "annotation_y"] = np.log10(bound) if axis.type == "log" else bound
    if upright:
        corner = "top right" if kind == "max" else "top left"
        figure.add_vline(bound, **line, **note, annotation_position=corner, row=1, col=1)
    else:
        corner = "top left" if kind == "max" else "bottom left"
        figure.add_hline(bound, **line, **note, annotation_position=corner, row=1, col=1)
