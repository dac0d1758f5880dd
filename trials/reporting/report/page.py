"""One HTML page about one study: opens offline, needs nothing beside itself."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
import plotly.graph_objects as go
import yaml
from jinja2 import Environment, StrictUndefined
from markupsafe import Markup
from plotly.offline import get_plotlyjs

from nas.foreign import lines
from nas.tasks.per_class import PREFIX
from trials.analysis.by_target import fronts_by_target
from trials.analysis.histories import History, histories
from trials.analysis.membership import SURE, membership_by_number, membership_of
from trials.reporting.charts.candidate import curves_figure
from trials.reporting.charts.front import front_figure
from trials.reporting.charts.studies import comparison_figure, history_figure, states_figure
from trials.reporting.comparison import Comparison, comparison
from trials.reporting.labels import duration, inline, moment, number, title
from trials.reporting.report.tables import Cell, cell, gap_table, rank_table
from trials.store.read.candidate import curves
from trials.store.read.candidates import CandidateRow, candidates_page
from trials.store.read.doubts import study_doubts
from trials.store.read.points import Points, front, points
from trials.store.read.protocols import describe_regime
from trials.store.read.session import Source
from trials.store.read.studies import StudyRow, StudySummary, compared_studies, study_summary

COMPARISON_NOTE = (
    "Found networks, best first, each beside the same network under random masks that keep as many weights and beside "
    "its dense parent; all trained alike. Speed-up over its dense twin: the latency of the untrained dense "
    "network, timed on the same target by the same protocol, over the network's own."
)
#: Curves drawn at most, evenly along the front.
MOST_CURVES = 9


@dataclass(frozen=True)
class Card:
    """One number on top of the page."""

    value: str
    text: str


@dataclass(frozen=True)
class Section:
    """One figure with its heading."""

    heading: str
    note: str
    figure: Markup


def write_report(source: Source, name: str, out_dir: Path) -> Path:
    """Write ``out_dir/report.html`` about the study ``name``, and return its path.

    Raises:
        UnknownNameError: no such study.
    """
    page = render(source, name)
    out_dir.mkdir(parents=True, exist_ok=True)
    path = out_dir / "report.html"
    path.write_text(page, encoding="utf-8")
    return path


def render(source: Source, name: str) -> str:
    """The page as text."""
    summary = study_summary(source, name)
    group = compared_studies(source, summary.row)
    runs = histories(source, [row.name for row in group])
    lacks_baseline = summary.row.role == "search" and not any(row.role == "baseline" for row in group)
    compared = comparison(source, name)
    shown = _columns(summary)
    best = front(source, name, shown)
    shares = membership_by_number(source, name)
    rows = list(_front_rows(source, summary, best, shares))
    template = Environment(autoescape=True, undefined=StrictUndefined, finalize=_shown).from_string(
        files("trials.reporting.report").joinpath("page.html").read_text(encoding="utf-8")
    )
    return template.render(
        title=_title(summary, lacks_baseline=lacks_baseline),
        subtitle=_subtitle(summary),
        name=name,
        lacks_baseline=lacks_baseline,
        incomplete=", ".join(summary.row.incomplete),
        doubts=study_doubts(source, name),
        error=summary.error,
        plotly_js=Markup(get_plotlyjs()),
        cards=list(_cards(summary, best, shares, runs)),
        front_figure=_front_figure(points(source, name, shown), summary, shares) if len(best.numbers) else None,
        front_note=_front_note(summary, best),
        columns=[title(metric) for metric in _table_metrics(summary)],
        rows=rows,
        has_twins=any(row["speedup"].text != "—" for row in rows),
        comparison_note=COMPARISON_NOTE,
        comparison=compared,
        comparison_columns=[title(metric) for metric in compared.metrics] if compared else [],
        comparison_rows=list(_comparison_rows(name, compared)) if compared else [],
        tables=[*gap_table(source, name), *rank_table(source, name)],
        sections=[*_target_sections(source, summary), *_sections(source, name, best, group, runs)],
        environment=_facts(summary),
        plan=lines(yaml.safe_dump(dict(summary.plan), sort_keys=False, allow_unicode=True)),
    )


def _shown(value: Any) -> Any:
    """What stands in the page: text without control characters and passwords; figures and scripts as they are."""
    return lines(value) if type(value) is str else value


def _title(summary: StudySummary, *, lacks_baseline: bool) -> str:
    lacks = ", without a random baseline" if lacks_baseline else ""
    incomplete = f"; incomplete: {', '.join(summary.row.incomplete)}" if summary.row.incomplete else ""
    return f"Study {summary.row.name}{lacks}{incomplete}"


def _columns(summary: StudySummary) -> list[str]:
    """What the front is drawn of: the first objective over the second, or over the order of proposal."""
    return [*summary.row.objectives, "number"][:2]


def _subtitle(summary: StudySummary) -> str:
    plan, row = summary.plan, summary.row
    strategy, space, task = (plan.get(key, {}).get("name", "?") for key in ("strategy", "space", "task"))
    where = ", ".join(summary.targets) or "no target"
    return (
        f"{strategy} on the space {space} for the task {task}, measured on {where}; seed {row.seed}; "
        f"{row.state}; started {moment(row.created_at)}"
        + (f"; {describe_regime(summary.regime)}" if summary.regime is not None else "")
    )


def _cards(summary: StudySummary, best: Points, shares: Mapping[int, float], runs: Sequence[History]) -> Iterator[Card]:
    row, totals = summary.row, summary.totals
    total = sum(row.counts.values())
    yield Card(str(total), "trials: " + ", ".join(f"{count} {state}" for state, count in row.counts.items()))
    unsure = sum(shares.get(int(key), 0.0) < SURE for key in best.numbers)
    yield Card(str(len(best.numbers)), "on the Pareto front" + (f", {unsure} of them not for sure" if unsure else ""))
    for metric, direction in row.objectives.items():
        word = "highest" if direction == "maximize" else "lowest"
        yield Card(number(metric, row.best.get(metric)), f"{word} {inline(metric)}")
    saved, trained = float(totals.get("training_saved_s", 0.0)), float(totals.get("train_s", 0.0))
    gated = int(totals.get("gated", 0))
    if gated:
        share = f" ({saved / (saved + trained):.0%})" if trained else ""
        text = f"of training saved{share}: {gated} of {total} candidates were rejected before it"
        yield Card(duration(saved), text)
    if totals.get("wall_s"):
        yield Card(duration(float(totals["wall_s"])), "wall time spent")
    for role in dict.fromkeys(run.role for run in runs):
        final = [float(run.hypervolume[-1]) for run in runs if run.role == role and len(run.hypervolume)]
        if final:
            word = f"mean of {len(final)} runs" if len(final) > 1 else "one run"
            yield Card(f"{np.mean(final):.3f}", f"hypervolume of the {role}, {word}")


def _front_note(summary: StudySummary, best: Points) -> str:
    known = np.isfinite(best.high).any() if best.high.size else False
    bars = (
        "Bars are 95 % intervals: of a latency over sessions, of a score over the validation examples. "
        if known
        else ""
    )
    bars += (
        f"Solid: on the front with a probability of {SURE:g} or more, given the intervals of all; hollow diamonds are "
        "on it, hollow circles beside it, with less certainty. "
    )
    bounds = [
        f"{inline(metric)} {'at most' if kind == 'max' else 'at least'} {number(metric, bound)}"
        for metric, limits in summary.limits.items()
        for kind, bound in limits.items()
        if bound is not None
    ]
    return bars + ("Limits: " + "; ".join(bounds) + "." if bounds else "The study has no limits.")


def _table_metrics(summary: StudySummary) -> list[str]:
    shown = [name for name in summary.metrics if not name.startswith(PREFIX) or name in summary.row.objectives]
    return list(dict.fromkeys([*shown, "parameters", "macs"]))


def _front_figure(found: Points, summary: StudySummary, shares: Mapping[int, float]) -> Markup:
    return _figure(front_figure(found, summary.limits, shares=shares))


def _target_sections(source: Source, summary: StudySummary) -> Iterator[Section]:
    """The front on each target, where there are several."""
    for target, found in fronts_by_target(source, summary.row.name).items():
        if not found.on_front.any() or len(found.metrics) < 2:
            continue
        numbers = ", ".join(map(str, found.numbers[found.on_front]))
        note = f"The same candidates with the objectives as they are on {target}. On the front: {numbers}."
        yield Section(f"Front at {target}", note, _front_figure(found, summary, membership_of(found)))


def _front_rows(
    source: Source, summary: StudySummary, best: Points, shares: Mapping[int, float]
) -> Iterator[dict[str, Any]]:
    first = [] if best.original is None else [best.original]
    numbers = list(dict.fromkeys([*first, *map(int, best.numbers)]))
    page = candidates_page(source, summary.row.name, limit=len(numbers), numbers=numbers)
    found = {row.number: row for row in page.rows}
    for key in filter(found.__contains__, numbers):
        cells = [cell(metric, found[key].value(metric)) for metric in _table_metrics(summary)]
        name = f"{key}, original" if found[key].original else str(key)
        share = f"{shares[key]:.2f}" if key in shares else found[key].state
        yield {"name": name, "share": share, "cells": cells, "speedup": _speedup(found[key])}


def _comparison_rows(name: str, compared: Comparison) -> Iterator[dict[str, Any]]:
    for row in compared.rows:
        heading = f"trial {row.candidate.number}, found" if row.study == name else row.what
        cells = [cell(metric, row.value(metric)) for metric in compared.metrics]
        note = "" if row.study == name else f"{row.study} {row.candidate.number}"
        note += "" if row.candidate.state == "complete" else f", {row.candidate.state}"
        yield {
            "what": Cell(heading, note),
            "leads": row.study == name,
            "cells": cells,
            "speedup": _speedup(row.candidate),
        }


def _speedup(row: CandidateRow) -> Cell:
    """How many times as fast as its dense twin, and whether that is no gain."""
    return Cell(", ".join(f"{item.speedup:.2f}×" for item in row.speedups) or "—", beware=", ".join(row.flags))


def _sections(
    source: Source, name: str, best: Points, group: Sequence[StudyRow], runs: Sequence[History]
) -> Iterator[Section]:
    own = next(run for run in runs if run.study == name)
    if len(own.numbers):
        note = (
            "Hypervolume: the share of the box between the worst and the best values seen in any run of this "
            "group that the front dominates, with a margin of a tenth."
        )
        heading = "Search against baseline" if any(run.role == "baseline" for run in runs) else "Progress"
        yield Section(heading, note, _figure(comparison_figure(runs)))
        note = "Every complete candidate in the order of proposal, and the best so far."
        yield Section("History", note, _figure(history_figure(own)))
    place = np.unique(np.linspace(0, len(best.numbers) - 1, MOST_CURVES).round().astype(int))
    chosen = [int(key) for key in best.numbers[place]] if len(best.numbers) else []
    found = curves(source, name, chosen)
    if found:
        note = "Training and validation by epoch, of candidates on the front."
        yield Section("Curves", note, _figure(curves_figure(found)))
    if any(row.counts for row in group):
        note = (
            "Infeasible: over a limit for sure. Stopped: given up early. Failed: an error, kept with its "
            "traceback. Duplicate suggestions are answered from the table and are no trials."
        )
        yield Section("States", note, _figure(states_figure(group)))


def _facts(summary: StudySummary) -> list[tuple[str, str]]:
    return [(key.replace("_", " "), _plain(value)) for key, value in summary.environment.items()]


def _plain(value: Any) -> str:
    if isinstance(value, Mapping):
        return ", ".join(f"{key} {_plain(item)}" for key, item in value.items())
    if isinstance(value, list | tuple):
        return ", ".join(map(_plain, value))
    return str(value)


def _figure(figure: go.Figure) -> Markup:
    config = {"displaylogo": False, "responsive": True}
    return Markup(figure.to_html(full_html=False, include_plotlyjs=False, config=config))
