"""The number of networks in a space."""

from __future__ import annotations

import math
import random
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from nas.space.chooser import Chooser, Question, Value

Floats = npt.NDArray[np.float64]

#: Number of first walks, which decide whether counting is worth its time. Every estimate has at least as many.
_MIN_WALKS = 20
#: Number of walks before the estimated error is trusted, so that rare answers can occur.
_BELIEVED = 200
#: An effect is used if it explains this multiple of the variance that it would explain by chance.
_SIGNIFICANT = 8.0
#: Relative error at which the walks end.
_ENOUGH = 0.01
#: Estimates below this size are written like counts if their error is less than half a network.
_WRITTEN_OUT = 1e6
#: Share of answers that stay uniform, so that walks can reach leaves that no pilot walk reached.
_UNIFORM = 0.05


@dataclass(frozen=True)
class SpaceSize:
    """The number of distinct sets of active answers, including those to the questions of policies.

    Different answers can build equal networks, so this is an upper bound of the number of networks.
    """

    #: Whether it was counted; otherwise it is an estimate.
    exact: bool
    size: float
    #: Standard error of the estimate relative to the estimate; 0 if it was counted.
    relative_error: float

    def __str__(self) -> str:
        if self.exact or (self.size < _WRITTEN_OUT and self.size * self.relative_error < 0.5):
            return f"{self.size:,.0f}"
        return f"about {self.size:.2g} (± {100 * self.relative_error:.0f} %)"


def space_size(
    build: Callable[[Chooser], Any],
    limit: int = 20_000,
    walks: int = 2000,
    seed: int = 0,
    max_seconds: float = 6.0,
) -> SpaceSize:
    """Count the leaves of the tree of active questions, or estimate their number.

    If a space seems to have at most ``limit`` leaves and counting seems to take little enough time, they are counted.
    Otherwise their number is estimated by random walks (Knuth 1975, "Estimating the efficiency of backtrack programs"):
    one over the probability of a walk is an unbiased estimate. Uniform pilot walks first learn which answers have the
    most leaves below them. Without them, the error would grow with every question that decides how many further
    questions there are.

    Args:
        build: asks all questions of a space; its result is not used.
        limit: largest number of leaves to count.
        walks: largest number of random walks, after an eighth as many pilot walks; they end once the error is below 1
            %.
        seed: seed of the walks.
        max_seconds: time for counting, and again for walking; at least 40 walks are made.
    """
    generator = random.Random(seed)

    def walk(shares: Mapping[str, Sequence[float]]) -> _WeightedChooser:
        chooser = _WeightedChooser(generator, shares)
        build(chooser)
        return chooser

    started = time.monotonic()
    pilots = [walk({}) for _ in range(_MIN_WALKS)]
    seconds_each = (time.monotonic() - started) / _MIN_WALKS
    if _mean([pilot.estimate for pilot in pilots]) <= min(2 * limit, 2 * max_seconds / seconds_each):
        counted = _count(build, limit, time.monotonic() + max_seconds)
        if counted is not None:
            return SpaceSize(True, float(counted), 0.0)
    started = time.monotonic()
    while len(pilots) < walks // 8 and time.monotonic() - started < max_seconds / 4:
        pilots.append(walk({}))
    shares = _learned_shares(pilots)
    estimates: list[float] = []
    while len(estimates) < walks and not _settled(estimates, started + max_seconds):
        estimates += [walk(shares).estimate for _ in range(_MIN_WALKS)]
    return SpaceSize(False, _mean(estimates), _error(estimates))


def _settled(estimates: list[float], end: float) -> bool:
    if len(estimates) >= _BELIEVED and _error(estimates) < _ENOUGH:
        return True
    return bool(estimates) and time.monotonic() > end


class EnumeratingChooser(Chooser):
    """Follows a path, which is the indices of answers to active questions, and then takes first options.

    After a build, ``path`` is the path to the leaf that was reached, and ``branches`` has the number of options at each
    step of it.
    """

    def __init__(self, path: list[int]) -> None:
        super().__init__()
        self._given = path
        self.path: list[int] = []
        self.branches: list[int] = []

    def _answer(self, question: Question) -> Value:
        if not question.active:
            return question.options[0]
        depth = len(self.path)
        place = self._given[depth] if depth < len(self._given) else 0
        self.path.append(place)
        self.branches.append(len(question.options))
        return question.options[place]

    def next_path(self) -> list[int] | None:
        """The path to the next leaf in depth-first order; None after the last leaf."""
        for depth in reversed(range(len(self.path))):
            if self.path[depth] + 1 < self.branches[depth]:
                return [*self.path[:depth], self.path[depth] + 1]
        return None


def _count(build: Callable[[Chooser], Any], limit: int, end: float) -> int | None:
    """The number of leaves; None if there are more than ``limit``, or if counting lasts beyond ``end``."""
    path: list[int] | None = []
    count = 0
    while path is not None:
        if count == limit or time.monotonic() > end:
            return None
        chooser = EnumeratingChooser(path)
        build(chooser)
        count += 1
        path = chooser.next_path()
    return count


class _WeightedChooser(Chooser):
    """Takes options with given probabilities, or uniformly if there are none for a question."""

    def __init__(self, generator: random.Random, shares: Mapping[str, Sequence[float]]) -> None:
        super().__init__()
        self._generator = generator
        self._shares = shares
        #: Question → index of the answer, and number of options.
        self.picks: dict[str, tuple[int, int]] = {}
        #: Product of the numbers of options along the walk.
        self.product = 1
        #: One over the probability of the walk, which is an unbiased estimate of the number of leaves.
        self.estimate = 1.0

    def _answer(self, question: Question) -> Value:
        if not question.active:
            return question.options[0]
        count = len(question.options)
        shares = self._shares.get(question.name) or [1 / count] * count
        place = self._generator.choices(range(count), shares)[0]
        self.picks[question.name] = (place, count)
        self.product *= count
        self.estimate /= shares[place]
        return question.options[place]


def _learned_shares(walks: Sequence[_WeightedChooser]) -> dict[str, list[float]]:
    """Question → probabilities of its options, roughly in proportion to the leaves below them.

    For each walk, the logarithm of the product of the numbers of options is fitted by a sum of effects of its answers.
    Questions are added to the fit one by one, the one that explains most first, as long as the fit improves by more
    than chance. Few questions decide about others; the rest would only add noise. The effects of a question sum to 0,
    so that an effect is attributed to the question that decides about a slot and not to the questions within the slot.
    """
    target = np.log([float(walk.product) for walk in walks])
    codes = _codes(walks)
    design = np.ones((len(walks), 1))
    left = float(np.sum((target - target.mean()) ** 2))
    places: dict[str, slice] = {}
    while codes and left > 1e-9 * len(walks):
        trials = {name: _residual(np.hstack([design, code]), target) for name, code in codes.items()}
        best = min(trials, key=trials.__getitem__)
        added = codes.pop(best)
        spare = len(walks) - design.shape[1] - added.shape[1]
        if spare < 1 or (left - trials[best]) / added.shape[1] < _SIGNIFICANT * trials[best] / spare:
            break
        places[best] = slice(design.shape[1], design.shape[1] + added.shape[1])
        design, left = np.hstack([design, added]), trials[best]
    effects = np.linalg.lstsq(design, target, rcond=None)[0]
    return {name: _shares(effects[place]) for name, place in places.items()}


def _codes(walks: Sequence[_WeightedChooser]) -> dict[str, Floats]:
    """Question → ``(walks, options - 1)``: 1 in the column of the answer, or -1 in all columns for the last option."""
    codes: dict[str, Floats] = {}
    for row, walk in enumerate(walks):
        for name, (place, count) in walk.picks.items():
            if count > 1:
                code = codes.setdefault(name, np.zeros((len(walks), count - 1)))
                code[row] = np.eye(count)[place, :-1] - (place == count - 1)
    return codes


def _residual(design: Floats, target: Floats) -> float:
    fitted = design @ np.linalg.lstsq(design, target, rcond=None)[0]
    return float(np.sum((target - fitted) ** 2))


def _shares(effects: npt.NDArray[Any]) -> list[float]:
    whole = np.append(effects, -effects.sum())
    weights = np.exp(whole - whole.max())
    shares = (1 - _UNIFORM) * weights / weights.sum() + _UNIFORM / len(weights)
    return [float(share) for share in shares]


def _mean(estimates: list[float]) -> float:
    return math.fsum(estimates) / len(estimates)


def _error(estimates: list[float]) -> float:
    """Standard error of the mean, relative to the mean."""
    mean = _mean(estimates)
    spread = math.fsum((estimate / mean - 1) ** 2 for estimate in estimates) / (len(estimates) - 1)
    return math.sqrt(spread / len(estimates))
