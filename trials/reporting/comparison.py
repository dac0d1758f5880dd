"""Networks a study found, each beside itself under random masks and its dense parent; fixed references at the end."""

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

#: What a companion's role is called, in the order in which they are shown.
WORDS = {"random_mask": "random masks, equal density", "dense": "dense parent"}


@dataclass(frozen=True)
class ComparisonRow:
    """One network: what it is, and its row in the study it is from."""

    what: str
    #: Number of the found candidate it belongs to; None for a reference.
    found_number: int | None
    study: str
    candidate: CandidateRow

    def value(self, metric: str) -> Value | None:
        """A metric; of what no policy compressed, its value without compression."""
        recorded = self.candidate.value(metric)
        if recorded is None and metric in COMPRESSIONS and self.candidate.state == "complete":
            return Value(COMPRESSIONS[metric][0])
        return recorded


@dataclass(frozen=True)
class Comparison:
    """A table of networks, and what it comes to."""

    rows: tuple[ComparisonRow, ...]
    metrics: tuple[str, ...]
    #: One sentence about found networks against random masks; empty where there are no pairs.
    verdict: str


def comparison(source: Source, name: str) -> Comparison | None:
    """What a study's networks are compared with; None for one whose policies changed nothing.

    Raises:
        UnknownNameError: no such study.
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
    """The paired difference, in the words of the first objective."""
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
