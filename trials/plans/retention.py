"""Which files stay when a study ends: ``artifacts.retention`` of a plan."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from trials.store.store import Store

#: Trials on a front, about: what a forecast of the disk space assumes.
TYPICAL_FRONT = 10


@dataclass(frozen=True)
class Retention:
    """One rule."""

    #: ``(store, study)`` → numbers of the trials whose files stay; None keeps the files of all.
    kept: Callable[[Store, str], set[int] | None]
    #: Trials whose files stay of so many trained ones, for a forecast.
    expected: Callable[[float], float]


def _front(store: Store, study: str) -> set[int]:
    """The front, and the original network, which the front is compared with."""
    from trials.store.read.points import front
    from trials.store.read.rows import study_row

    found = store.transactions.patiently(lambda: front(store, study))
    original = store.read(study_row, study).original
    return {*map(int, found.numbers), *([] if original is None else [original])}


RETENTIONS: Mapping[str, Retention] = {
    "all": Retention(lambda store, study: None, lambda trained: trained),
    "front": Retention(_front, lambda trained: min(trained, TYPICAL_FRONT)),
    "none": Retention(lambda store, study: set(), lambda trained: 0),
}
