"""Finds the fastest variant of a graph by timing whole graphs, which include reorders around replaced layers."""

from __future__ import annotations

from collections.abc import Callable, Sequence

#: Names of the layers that a variant replaces.
Variant = frozenset[str]

NOTHING: Variant = frozenset()
#: Largest ratio of times at which a flip is accepted, and at which the winner is preferred to the unchanged graph.
_FLIP, _WHOLE = 0.98, 0.99
#: Runs of a variant per turn, and smallest and largest number of turns.
_RUNS, _TURNS, _MAX_TURNS = 2, 3, 40


class Race:
    """Times variants in turns and compares their smallest times.

    Args:
        load: prepares a variant and returns a function that runs it once and returns the time, nanoseconds.
        budget_ns: time for runs; the smallest number of turns of a comparison may exceed it.
    """

    def __init__(self, load: Callable[[Variant], Callable[[], int]], budget_ns: int) -> None:
        self._load = load
        self._left_ns = budget_ns
        self._ready: dict[Variant, Callable[[], int]] = {}

    def winner(self, starts: Sequence[Variant], flips: Sequence[Variant]) -> Variant:
        """The fastest variant that the search finds; ``NOTHING`` if it is not faster than the unchanged graph.

        Args:
            starts: variants; the search starts from the fastest one.
            flips: sets of names, in the order of the search; each set is added or removed as a whole if that is
                faster.
        """
        best = self._best([NOTHING, *starts], self._left_ns // 3)
        for place, flip in enumerate(flips):
            if self._left_ns <= 0:
                break
            if self._gains(best, best ^ flip, self._left_ns // (len(flips) - place + 1)):
                best ^= flip
            self._ready = {variant: run for variant, run in self._ready.items() if variant in (NOTHING, best)}
        if best != NOTHING:
            times = self._times([NOTHING, best], self._left_ns)
            best = best if times[1] < _WHOLE * times[0] else NOTHING
        return best

    def _gains(self, best: Variant, other: Variant, share_ns: int) -> bool:
        """Whether ``other`` is faster in two comparisons in a row; with many comparisons, a single one may mislead."""
        for _ in range(2):
            times = self._times([best, other], share_ns // 2)
            if times[1] >= _FLIP * times[0]:
                return False
        return True

    def _best(self, variants: Sequence[Variant], share_ns: int) -> Variant:
        distinct = list(dict.fromkeys(variants))
        times = self._times(distinct, share_ns)
        best = distinct[times.index(min(times))]
        self._ready = {variant: self._ready[variant] for variant in (NOTHING, best)}
        return best

    def _times(self, variants: Sequence[Variant], share_ns: int) -> list[int]:
        """Smallest time of each variant, nanoseconds."""
        for variant in variants:
            if variant not in self._ready:
                self._ready[variant] = self._load(variant)
        found: list[list[int]] = [[] for _ in variants]
        spent = turns = 0
        while turns < _TURNS or (spent < share_ns and turns < _MAX_TURNS):
            for times, variant in zip(found, variants, strict=True):
                times += [self._ready[variant]() for _ in range(_RUNS)]
                spent += sum(times[-_RUNS:])
            turns += 1
        self._left_ns -= spent
        return [min(times) for times in found]
