"""Reporting protocols: what a study needs before its results count as complete."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from nas.papers import Paper
from nas.registry import Registry


@dataclass(frozen=True)
class Evidence:
    """The facts about a study that protocols check."""

    #: See ``trials.store.models.Study.regime``.
    regime: Mapping[str, Any] | None
    #: Whether a companion with random masks has a complete candidate.
    has_random_masks: bool
    #: Whether the latency of a complete candidate was measured beside its dense twin's.
    is_timed: bool


class Protocol(ABC):
    """A published practice of reporting."""

    paper: Paper

    @abstractmethod
    def missing(self, evidence: Evidence) -> list[str]:
        """Return what a study lacks, in a few words each; empty if it is complete or the protocol does not apply."""


class SparseStudy(Protocol):
    """A sparse study declares its regime, and is compared with random masks and in measured latency.

    The paper also asks for equal budgets and practical speed-ups; companions have equal budgets by construction.
    """

    paper = Paper(
        75,
        "Ten Lessons We Have Learned in the New Sparseland (Liu & Wang 2023)",
        "tests/unit/trials/store/read/test_protocols.py::test_a_sparse_study_lacks_what_it_does_not_have",
    )

    def missing(self, evidence: Evidence) -> list[str]:
        """See ``Protocol.missing``."""
        if evidence.regime is None:
            return []
        asked = {
            "no declared regime": bool(evidence.regime),
            "no random-mask baseline": evidence.has_random_masks,
            "no measured latency": evidence.is_timed,
        }
        return [words for words, is_there in asked.items() if not is_there]


PROTOCOLS: Registry[type[Protocol]] = Registry(
    "protocols", {"sparse_study": "trials.store.read.protocols:SparseStudy"}, subclasses_of=Protocol
)


def missing(evidence: Evidence) -> tuple[str, ...]:
    """Return what a study lacks according to all protocols."""
    return tuple(words for name in PROTOCOLS.names() for words in PROTOCOLS.get(name)().missing(evidence))


def describe_regime(regime: Mapping[str, Any] | None) -> str:
    """The regime as text, ``sparse … training, static masks, …``; empty for a study that is not sparse."""
    if regime is None:
        return ""
    if not regime:
        return "sparse, by a policy that does not declare its regime"
    masks = "dynamic masks" if regime["dynamic"] else "static masks"
    return f"sparse {regime['when']} training, {masks}, {' or '.join(regime['structures'])}"
