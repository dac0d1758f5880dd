"""The figures of the report, each with a heading and a note."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import plotly.graph_objects as go
from markupsafe import Markup

from trials.analysis.membership import SURE, membership_of
from trials.reporting.charts.candidate import curves_figure
from trials.reporting.charts.front import front_figure
from trials.reporting.charts.studies import comparison_figure, history_figure, states_figure
from trials.reporting.labels import inline, number
from trials.reporting.study import StudyView
from trials.store.read.epochs import curves

#: Largest number of learning curves to draw, evenly along the front.
MAX_CURVES = 9


@dataclass(frozen=True)
class Section:
    """One figure with its heading and note."""

    heading: str
    note: str
    figure: Markup


def front_section(study: StudyView) -> Section | None:
    """Return the front among all candidates; None before the first complete one."""
    if not len(study.front.numbers):
        return None
    points = study.points_on(study.axes)
    figure = front_figure(points, study.summary.limits, shares=study.shares, imported=study.imported)
    return Section("Pareto front", _front_note(study), markup(figure))


def target_sections(study: StudyView) -> Iterator[Section]:
    """Yield the front on each target, if the study has several."""
    for target, found in study.fronts_by_target.items():
        if not found.on_front.any() or len(found.metrics) < 2:
            continue
        numbers = ", ".join(map(str, found.numbers[found.on_front]))
        note = f"The same candidates with the objectives measured on {target}. On the front: {numbers}."
        figure = front_figure(found, study.summary.limits, shares=membership_of(found))
        yield Section(f"Front at {target}", note, markup(figure))


def sections(study: StudyView) -> Iterator[Section]:
    """Yield hypervolume against the baseline, history, learning curves of front candidates, and states."""
    if len(study.history.numbers):
        note = (
            "Hypervolume: the share of the box between the worst and the best values seen in any run of this "
            "group that the front dominates, with a margin of a tenth."
        )
        heading = "Search against baseline" if study.has_baseline else "Progress"
        yield Section(heading, note, markup(comparison_figure(study.histories)))
        note = "Every complete candidate in the order of proposal, and the best value so far."
        yield Section("History", note, markup(history_figure(study.history)))
    numbers = study.front.numbers
    place = np.unique(np.linspace(0, len(numbers) - 1, MAX_CURVES).round().astype(int))
    found = curves(study.source, study.name, [int(key) for key in numbers[place]] if len(numbers) else [])
    if found:
        note = "Training and validation by epoch for candidates on the front."
        yield Section("Curves", note, markup(curves_figure(found)))
    if any(row.counts for row in study.group):
        note = (
            "Infeasible: certainly violates a limit. Paused: its training waits at a rung. Stopped: ended early. "
            "Failed: ended with an error, which is stored with its traceback. Duplicate suggestions are answered from "
            "the database and are not trials."
        )
        yield Section("States", note, markup(states_figure(study.group)))


def _front_note(study: StudyView) -> str:
    bars = (
        "Bars are 95 % intervals: of a latency over sessions, of a score over the validation examples. "
        if np.isfinite(study.front.high).any()
        else ""
    )
    bars += (
        f"Solid diamonds are on the front with a probability of {SURE:g} or more, given all intervals. Hollow diamonds "
        "are on the front by their measured values, but with a smaller probability. Hollow circles are not on it by "
        f"their measured values, but with a probability of at least {1 - SURE:.2g} they truly are. "
    )
    bounds = [
        f"{inline(metric)} {'at most' if kind == 'max' else 'at least'} {number(metric, bound)}"
        for metric, limits in study.summary.limits.items()
        for kind, bound in limits.items()
        if bound is not None
    ]
    return bars + ("Limits: " + "; ".join(bounds) + "." if bounds else "The study has no limits.")


def markup(figure: go.Figure) -> Markup:
    """Return a figure as HTML; the report's script draws points as elements of the page, not by WebGL."""
    described = figure.to_dict()
    for trace in described["data"]:
        trace["type"] = "scatter" if trace["type"] == "scattergl" else trace["type"]
    config = {"displaylogo": False, "responsive": True}
    return Markup(go.Figure(described).to_html(full_html=False, include_plotlyjs=False, config=config))
