"""The tables of the report, whose cells have intervals and warnings."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from nas.tasks.per_class import PREFIX
from trials.analysis.gaps import GAP_NOTE, gaps
from trials.reporting.labels import dominated_by, duration, number, title
from trials.reporting.study import StudyView
from trials.store.read.candidates import CandidateRow, Value
from trials.store.read.imported import ImportedNetwork

COMPARISON_NOTE = (
    "Each found network, best first, is followed by the same network under random masks that keep the same number of "
    "weights, and by its dense parent; all are trained in the same way. Speed-up over its dense twin: the latency of "
    "the untrained dense network, measured on the same target, divided by the network's own latency."
)


COSTS_NOTE = (
    "Worker time is summed over all workers. A training or measurement that was saved is valued at the mean of those "
    "that ran. Measured only: candidates that the strategy did not choose for training after they were measured."
)

RUNGS_NOTE = "Spearman's rank correlation over complete trials. The higher it is, the less halving loses."
#: Follows the note in a study with halving.
HALVING_NOTE = (
    "Only the best trials of each rung are trained to the end, so the correlation is lower than it would be over all "
    "trials."
)


FINAL_NOTE = (
    "Networks that got a long training after the search, scored on the validation split. The front compares the "
    "scores of the search, in which all networks were trained in the same way."
)


IMPORTED_NOTE = (
    "Networks of your own, scored on the same images and measured on the same targets as the trials. A trial of the "
    "front dominates a network if it is at least as good in every objective, and better in one."
)


@dataclass(frozen=True)
class Cell:
    """One number of a table, its interval, and a warning."""

    text: str
    interval: str = ""
    beware: str = ""


@dataclass(frozen=True)
class Table:
    """A table with its heading and note."""

    id: str
    heading: str
    note: str
    columns: Sequence[str]
    rows: Sequence[Sequence[Cell]]
    #: The conclusion in one sentence.
    verdict: str = ""
    #: Indices of rows that begin a block.
    leads: frozenset[int] = frozenset()


def front_table(study: StudyView) -> Table:
    """Return the table of the original, if any, and the networks on the front."""
    first = [] if study.front.original is None else [study.front.original]
    rows = study.rows(list(dict.fromkeys([*first, *map(int, study.front.numbers)]))).values()
    metrics = list(dict.fromkeys([*study.shown_metrics, "parameters", "macs"]))
    has_twins = any(row.speedups for row in rows)
    columns = [title(metric) for metric in metrics]
    middle = ["On the front with probability", *(["Speed-up over its dense twin"] if has_twins else [])]
    lines = []
    for row in rows:
        cells = [_cell(metric, row.value(metric)) for metric in metrics]
        share = Cell(f"{study.shares[row.number]:.2f}" if row.number in study.shares else row.state)
        between = [share, *([_speedup(row)] if has_twins else [])]
        name = Cell(f"{row.number}, original" if row.original else str(row.number))
        lines.append([name, *cells[:2], *between, *cells[2:]])
    return Table("front", "", "", ["Trial", *columns[:2], *middle, *columns[2:]], lines)


def comparison_table(study: StudyView) -> Table | None:
    """Return the comparison with random masks and dense parents; None without one."""
    compared = study.comparison
    if compared is None:
        return None
    rows = []
    for row in compared.rows:
        own, is_own = row.candidate, row.study == study.name
        heading = f"trial {own.number}, found" if is_own else row.what
        note = "" if is_own else f"{row.study} {own.number}"
        note += "" if own.state == "complete" else f", {own.state}"
        cells = [_cell(metric, row.value(metric)) for metric in compared.metrics]
        rows.append([Cell(heading, note), _speedup(own), *cells])
    columns = ["Network", "Speed-up over its dense twin", *map(title, compared.metrics)]
    leads = frozenset(place for place, row in enumerate(compared.rows) if row.study == study.name)
    heading = "Against dense parents and random masks"
    return Table("comparison", heading, COMPARISON_NOTE, columns, rows, compared.verdict, leads)


def costs_table(study: StudyView) -> Table | None:
    """Return what the study has cost and saved; None before its first training."""
    costs = study.costs
    if not costs.trained:
        return None
    counts = [
        ("suggestions", costs.suggestions, ""),
        ("candidates measured before training", costs.measured, duration(costs.measure_s)),
        ("candidates trained", costs.trained, duration(costs.train_s)),
        ("epochs trained", costs.epochs, ""),
    ]
    spared = {
        "limits before training": costs.rejected,
        "measured only": costs.measured_only,
        "no repeated network": costs.duplicates,
        "stored latencies": costs.reused,
    }
    rows = [[Cell(name), Cell(str(count)), Cell(seconds)] for name, count, seconds in counts]
    rows += [
        [Cell(f"saved by: {name}"), Cell(str(spared[name])), Cell(duration(seconds))]
        for name, seconds in costs.saved_s.items()
        if spared[name]
    ]
    return Table("costs", "Costs", COSTS_NOTE, ("", "Number", "Worker time"), rows)


def rank_table(study: StudyView) -> Table | None:
    """Return the rank correlations of the study's targets; None for a study of one target."""
    rows = [
        [
            Cell(f"{item.first} and {item.second}"),
            Cell(f"{item.tau:.3f}" if item.tau is not None else "—"),
            Cell(str(item.count)),
        ]
        for item in study.rank_correlations
    ]
    note = (
        "Kendall's tau between the latencies on two targets, over all candidates measured on both: 1 if both rank the "
        "candidates equally, 0 if the rankings are unrelated."
    )
    heading = "Rank correlation between targets"
    return Table("ranks", heading, note, ("Targets", "Tau", "Candidates"), rows) if rows else None


def rung_table(study: StudyView) -> Table | None:
    """Return how well scores after few epochs rank complete trials; None where too few are complete."""
    rows = [
        [
            Cell(f"{title(item.metric)} after {item.epochs} of {item.of} epochs"),
            Cell(f"{item.spearman:.3f}"),
            Cell(str(item.count)),
        ]
        for item in study.rung_correlations
    ]
    columns = ("Score", "Rank correlation with the score at the end", "Trials")
    return Table("rungs", "Early scores", rungs_note(study), columns, rows) if rows else None


def rungs_note(study: StudyView) -> str:
    """Return what to know about the rank correlations of early scores."""
    halves = study.summary.plan.get("estimator", {}).get("halving") is not None
    return f"{RUNGS_NOTE} {HALVING_NOTE}" if halves else RUNGS_NOTE


def prediction_table(study: StudyView) -> Table | None:
    """Return the errors of the latencies that the strategy predicted; None without predictions."""
    rows = [
        [
            Cell(item.target),
            Cell(str(item.count)),
            Cell(f"{item.median_relative_error:.1%}"),
            Cell(f"{item.spearman:.3f}" if item.spearman is not None else "—"),
            Cell(f"{item.share_in_interval:.0%}"),
        ]
        for item in study.prediction_errors
    ]
    note = (
        "The strategy predicts the latency of a candidate before it is measured, to propose fewer candidates that are "
        "too slow. All other latencies of this report are measured. Rank correlation: Spearman's, between predicted "
        "and measured latencies. In the interval: share of measured latencies within the predicted 95 % interval."
    )
    columns = ("Target", "Candidates", "Median relative error", "Rank correlation", "In the interval")
    return Table("predictions", "Predicted and measured latency", note, columns, rows) if rows else None


def gap_table(study: StudyView) -> Table | None:
    """Return validation and test scores of the exported networks; None if nothing was exported."""
    rows = [
        [
            Cell(f"{item.number}, {title(gap.metric)}"),
            _cell(gap.metric, gap.validation),
            _cell(gap.metric, gap.test),
            _cell(gap.metric, gap.difference),
        ]
        for item in study.exports
        for gap in gaps(item.scores)
    ]
    columns = ("Exported trial", "Validation", "Test", "Validation − test")
    return Table("gaps", "Exported networks on the test split", GAP_NOTE, columns, rows) if rows else None


def imported_table(study: StudyView) -> Table | None:
    """Return the networks that the user imported, and the trials that dominate them; None if there are none."""
    networks, tested = study.imported, _tested(study.imported)
    found = dict.fromkeys(name for item in networks for name in item.shown if not name.startswith(PREFIX))
    metrics = list(dict.fromkeys([*study.row.objectives, *found]))
    rows = [
        [
            Cell(item.name, beware="; ".join(item.notes)),
            Cell(dominated_by(study.better_than(item))),
            *(_cell(name, item.metrics.get(name)) for name in metrics),
            *(_cell(name, item.test_scores.get(name)) for name in tested),
        ]
        for item in networks
    ]
    columns = [
        "Network",
        "Dominated by",
        *map(title, metrics),
        *(f"{title(name)} (test)" for name in tested),
    ]
    return Table("imported", "Imported networks", IMPORTED_NOTE, columns, rows) if rows else None


def _tested(networks: Sequence[ImportedNetwork]) -> list[str]:
    """Names of the test scores of imported networks, without those of single classes."""
    return list(dict.fromkeys(name for item in networks for name in item.test_scores if not name.startswith(PREFIX)))


def final_table(study: StudyView) -> Table | None:
    """Return the final trainings, with the scores of the search beside theirs; None if there are none."""
    found = study.final_trainings
    rows = study.rows(list(found))
    scores = dict.fromkeys(
        name for items in found.values() for item in items for name in item.scores if not name.startswith(PREFIX)
    )
    lines = [
        [
            Cell(f"{key}"),
            Cell(item.description, item.state),
            *(
                cell
                for name in scores
                for cell in (_cell(name, item.scores.get(name)), _cell(name, rows[key].value(name)))
            ),
        ]
        for key, items in found.items()
        for item in items
    ]
    heads = [head for name in scores for head in (title(name), f"{title(name)} in the search")]
    return Table("final", "Final trainings", FINAL_NOTE, ["Trial", "Recipe", *heads], lines) if lines else None


def _cell(metric: str, value: Value | None) -> Cell:
    """Return a cell with a metric's value and interval."""
    if value is None:
        return Cell("—")
    known = value.low is not None and value.high is not None
    return Cell(number(metric, value.value), f"{value.low:.4g} to {value.high:.4g}" if known else "")


def _speedup(row: CandidateRow) -> Cell:
    """Return a cell with the speed-up over the dense twin, and warnings."""
    return Cell(", ".join(f"{item.speedup:.2f}×" for item in row.speedups) or "—", beware=", ".join(row.flags))
