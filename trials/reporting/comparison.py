"""Networks a study found, each beside itself under random masks and its dense parent; fixed references at the end."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from trials.analysis.compared import compared
from trials.reporting.labels import inline, number
from trials.store.read.candidates import CandidateRow, Value, candidates_page
from trials.store.read.companions import companions, references
from trials.store.read.session import Source
from trials.store.read.speedups import COMPRESSIONS
from trials.store.read.studies import study_summary

#: What a companion's role is called, in the order in which they are shown.
WORDS = {"random_mask": "random masks, equal density", "dense": "dense parent"}


@dataclass(frozen=True)
class Line:
    """One network: what it is, and its row in the study it is from."""

    what: str
    #: Number of the found candidate it belongs to; None for a reference.
    beside: int | None
    study: str
    row: CandidateRow

    def value(self, metric: str) -> Value | None:
        """A metric; of what no policy compressed, its value without compression."""
        recorded = self.row.value(metric)
        if recorded is None and metric in COMPRESSIONS and self.row.state == "complete":
            return Value(COMPRESSIONS[metric][0])
        return recorded


@dataclass(frozen=True)
class Comparison:
    """A table of networks, and what it comes to."""

    lines: tuple[Line, ...]
    metrics: tuple[str, ...]
    #: One sentence about found networks against random masks; empty where there are no pairs.
    verdict: str


def comparison(source: Source, name: str) -> Comparison | None:
    """What a study's networks are compared with; None for one whose policies changed nothing.

    Raises:
        UnknownNameError: no such study.
    """
    beside = companions(source, name)
    numbers = list(dict.fromkeys(key for role in WORDS if role in beside for key in beside[role].candidates))
    numbers = numbers or compared(source, name, 1)
    fixed = references(source, name)
    if not numbers and not fixed:
        return None
    page = candidates_page(source, name, numbers=numbers, limit=len(numbers))
    found = {row.number: row for row in page.rows}
    lines = []
    for key in numbers:
        lines.append(Line("found", key, name, found[key]))
        for role, words in WORDS.items():
            if role in beside and key in beside[role].candidates:
                lines.append(Line(words, key, beside[role].study, beside[role].candidates[key]))
    lines += [Line("reference", None, study, row) for study, row in fixed.items()]
    objectives = list(study_summary(source, name).row.objectives)
    return Comparison(tuple(lines), _metrics(objectives, lines), _verdict(objectives[0], lines))


def _metrics(objectives: Sequence[str], lines: Sequence[Line]) -> tuple[str, ...]:
    wanted = dict.fromkeys([*objectives, "latency_ms", "size_bytes", "nonzero_bytes", "density", "weight_bits"])
    return tuple(metric for metric in wanted if any(line.row.value(metric) for line in lines))


def _verdict(metric: str, lines: Sequence[Line]) -> str:
    """The paired difference, in the words of the first objective."""
    values = {(line.beside, line.what): line.row.value(metric) for line in lines}
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
