"""Tables of the report: cells with intervals, and those about targets, certainty and what was exported."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from trials.analysis.by_target import rank_correlations
from trials.analysis.gaps import GAP_NOTE, gaps
from trials.reporting.labels import number, title
from trials.store.read.candidate import exports
from trials.store.read.candidates import Value
from trials.store.read.session import Source


@dataclass(frozen=True)
class Cell:
    """One number of a table, its interval, and what to beware of."""

    text: str
    interval: str = ""
    beware: str = ""


@dataclass(frozen=True)
class Table:
    """A table with its heading and what it says."""

    id: str
    heading: str
    note: str
    columns: Sequence[str]
    rows: Sequence[Sequence[Cell]]


def cell(metric: str, value: Value | None) -> Cell:
    """A metric's value and its interval."""
    if value is None:
        return Cell("—")
    known = value.low is not None and value.high is not None
    return Cell(number(metric, value.value), f"{value.low:.4g} to {value.high:.4g}" if known else "")


def rank_table(source: Source, name: str) -> Iterator[Table]:
    """How alike the study's targets rank its candidates, if it has several."""
    found = rank_correlations(source, name)
    rows = [
        [
            Cell(f"{item.first} and {item.second}"),
            Cell(f"{item.tau:.3f}" if item.tau is not None else "—"),
            Cell(str(item.count)),
        ]
        for item in found
    ]
    if rows:
        note = (
            "Kendall's tau between the latencies on two targets, of all candidates measured on both: 1 where they are "
            "in the same order, 0 where one says nothing about the other."
        )
        yield Table("ranks", "Rank correlation between targets", note, ("Targets", "Tau", "Candidates"), rows)


def gap_table(source: Source, name: str) -> Iterator[Table]:
    """Validation beside test of what was exported, if anything was."""
    rows = [
        [
            Cell(f"{item.number}, {title(gap.metric)}"),
            cell(gap.metric, gap.validation),
            cell(gap.metric, gap.test),
            cell(gap.metric, gap.difference),
        ]
        for item in exports(source, name)
        for gap in gaps(item.scores)
    ]
    if rows:
        columns = ("Exported trial", "Validation", "Test", "Validation − test")
        yield Table("gaps", "What was chosen, on test", GAP_NOTE, columns, rows)
