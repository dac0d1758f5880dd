"""Compare the networks of a study with themselves under random masks and dense, and with fixed references."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from trials.analysis.compared import compared
from trials.reporting.labels import inline, number
from trials.store.read.candidates import CandidateRow, Value, candidates_page
from trials.store.read.companions import companions, references
from trials.store.read.session import Source, find_study, reading
from trials.store.read.speedups import COMPRESSIONS

#: Role of a companion → its name, in the order of display.
WORDS = {"random_mask": "random masks, equal density", "dense": "dense parent"}


@dataclass(frozen=True)
class ComparisonRow:
    """One network of the comparison, and its row in the study that it belongs to."""

    what: str
    #: Number of the found candidate that it is compared with; None for a reference.
    found_number: int | None
    study: str
    candidate: CandidateRow

    def value(self, metric: str) -> Value | None:
        """Return a metric; a complete network without compression has the metric's uncompressed value."""
        recorded = self.candidate.value(metric)
        if recorded is None and metric in COMPRESSIONS and self.candidate.state == "complete":
            return Value(COMPRESSIONS[metric][0])
        return recorded


@dataclass(frozen=True)
class Comparison:
    """A table of compared networks, and a conclusion."""

    rows: tuple[ComparisonRow, ...]
    metrics: tuple[str, ...]
    #: One sentence that compares found networks with random masks; empty if there are no pairs.
    verdict: str


def comparison(source: Source, name: str) -> Comparison | None:
    """Return the comparison of a study's networks; None if its policies changed no network and it has no references.

    Raises:
        UnknownNameError: the study does not exist.
    """
    with reading(source) as session:
        objectives = list(find_study(session, name).objectives)
        related = companions(session, name)
        numbers = list(dict.fromkeys(key for role in WORDS if role in related for key in related[role].candidates))
        numbers = numbers or compared(session, name, 1)
        fixed = references(session, name)
        if not numbers and not fixed:
            return None
        page = candidates_page(session, name, numbers=numbers, limit=len(numbers))
        found = {row.number: row for row in page.rows}
        rows = []
        for key in numbers:
            rows.append(ComparisonRow("found", key, name, found[key]))
            for role, words in WORDS.items():
                if role in related and key in related[role].candidates:
                    rows.append(ComparisonRow(words, key, related[role].study, related[role].candidates[key]))
        rows += [ComparisonRow("reference", None, study, candidate) for study, candidate in fixed.items()]
    return Comparison(tuple(rows), _metrics(objectives, rows), _verdict(objectives[0], rows))


def _metrics(objectives: Sequence[str], rows: Sequence[ComparisonRow]) -> tuple[str, ...]:
    wanted = dict.fromkeys([*objectives, "latency_ms", "size_bytes", "nonzero_bytes", "density", "weight_bits"])
    return tuple(metric for metric in wanted if any(row.candidate.value(metric) for row in rows))


def _verdict(metric: str, rows: Sequence[ComparisonRow]) -> str:
    """Return a sentence about the paired differences of the first objective."""
    values = {(row.found_number, row.what): row.candidate.value(metric) for row in rows}
    pairs = [
        (found.value, random.value)
        for (key, what), found in values.items()
        if what == "found" and found and (random := values.get((key, WORDS["random_mask"])))
    ]
    if not pairs:
        return ""
    differences = np.array([found - random for found, random in pairs])
    text = f"Found minus random masks at equal density, {inline(metric)}: {number(metric, differences.mean())}"
    if len(pairs) == 1:
        return f"{text}, of one pair."
    low, high = (number(metric, value) for value in (differences.min(), differences.max()))
    return f"{text} on average of {len(pairs)} pairs, {low} to {high}."
