"""How many networks a space has."""

from __future__ import annotations

import math
import random
import time
from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from nas.space.chooser import Chooser, Question, Value

#: Walks of the first look, which decides whether counting is worth its time; and fewest of any estimate.
_FEWEST = 20
#: Relative error at which walking ends.
_ENOUGH = 0.01
#: Part of the walks' answers that stay uniform, so that what no pilot saw is found all the same.
_UNIFORM = 0.2


@dataclass(frozen=True)
class SpaceSize:
    """Number of distinct active answers, those of policies included.

    Different answers may still build equal networks, so this is an upper bound of the networks.
    """

    #: Whether it was counted; else it is estimated.
    exact: bool
    size: float
    #: Standard error of the estimate, relative to it; 0 when counted.
    relative_error: float

    def __str__(self) -> str:
        if self.exact:
            return f"{self.size:,.0f}"
        return f"about {self.size:.2g} (± {100 * self.relative_error:.0f} %)"


def space_size(
    build: Callable[[Chooser], Any],
    limit: int = 20_000,
    walks: int = 2000,
    seed: int = 0,
    max_seconds: float = 10.0,
) -> SpaceSize:
    """Count the leaves of the tree of active questions, or estimate their number.

    A space that seems to have at most ``limit`` leaves, and to be walked in time, is counted. Another is
    estimated by random walks (Knuth 1975, "Estimating the efficiency of backtrack programs"): one over the probability
    of a walk is an unbiased estimate. Pilot walks learn first which answers have most leaves below them;
    otherwise the error would grow with every question that decides how many others there are.

    Args:
        build: asks all questions of a space; what it returns is thrown away.
        limit: most leaves to count.
        walks: most random walks after the pilots, an eighth of them; fewer once the error is below 1 %.
        seed: of the walks.
        max_seconds: for counting, and for walking, each; at least 40 walks are made.
    """
    walker = _Walker(build, random.Random(seed))
    started = time.monotonic()
    first = [walker.walk() for _ in range(_FEWEST)]
    seconds_each = (time.monotonic() - started) / _FEWEST
    if _mean(first) <= min(2 * limit, 2 * max_seconds / seconds_each):
        counted = _count(build, limit, time.monotonic() + max_seconds)
        if counted is not None:
            return SpaceSize(True, float(counted), 0.0)
    started = time.monotonic()
    while walker.num_walks < walks // 8 and time.monotonic() - started < max_seconds / 4:
        walker.walk()
    estimates = walker.settled(max(walks, _FEWEST), started + max_seconds)
    return SpaceSize(False, _mean(estimates), _error(estimates))


class EnumeratingChooser(Chooser):
    """Follows a path, the places of active questions' answers, then takes first options.

    After a build ``path`` is the path of the leaf reached, ``branches`` the numbers of options along it.
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
        """The path of the next leaf in depth-first order; None after the last."""
        for depth in reversed(range(len(self.path))):
            if self.path[depth] + 1 < self.branches[depth]:
                return [*self.path[:depth], self.path[depth] + 1]
        return None


def _count(build: Callable[[Chooser], Any], limit: int, end: float) -> int | None:
    """Leaves of the tree; None if there are more than ``limit`` or it is later than ``end``."""
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


class _Walker:
    """Random walks whose answers get likelier the more leaves were estimated below them."""

    def __init__(self, build: Callable[[Chooser], Any], generator: random.Random) -> None:
        self._build = build
        self._generator = generator
        #: Question → place → leaves estimated below the answer, summed over walks.
        self._leaves: defaultdict[str, defaultdict[int, float]] = defaultdict(lambda: defaultdict(float))
        self.num_walks = 0

    def walk(self, *, learn: bool = True) -> float:
        """One walk: an unbiased estimate of the number of leaves."""
        chooser = _WeightedChooser(self._generator, self._leaves)
        self._build(chooser)
        self.num_walks += 1
        if learn:
            for name, place in chooser.taken.items():
                self._leaves[name][place] += chooser.estimate
        return chooser.estimate

    def settled(self, most: int, end: float) -> list[float]:
        """Independent estimates by what was learned until now."""
        estimates: list[float] = []
        while len(estimates) < most:
            if len(estimates) >= _FEWEST and len(estimates) % _FEWEST == 0:
                if time.monotonic() > end or _error(estimates) < _ENOUGH:
                    break
            estimates.append(self.walk(learn=False))
        return estimates


class _WeightedChooser(Chooser):
    def __init__(self, generator: random.Random, leaves: Mapping[str, Mapping[int, float]]) -> None:
        super().__init__()
        self._generator = generator
        self._leaves = leaves
        self.taken: dict[str, int] = {}
        self.estimate = 1.0

    def _answer(self, question: Question) -> Value:
        if not question.active:
            return question.options[0]
        count = len(question.options)
        known = self._leaves.get(question.name, {})
        total = math.fsum(known.values())
        uniform = _UNIFORM if total else 1.0
        shares = [
            uniform / count + (1 - uniform) * known.get(place, 0.0) / (total or 1.0) for place in range(count)
        ]
        place = self._generator.choices(range(count), shares)[0]
        self.taken[question.name] = place
        self.estimate /= shares[place]
        return question.options[place]


def _mean(estimates: list[float]) -> float:
    return math.fsum(estimates) / len(estimates)


def _error(estimates: list[float]) -> float:
    """Standard error of the mean, relative to it."""
    mean = _mean(estimates)
    spread = math.fsum((estimate / mean - 1) ** 2 for estimate in estimates) / (len(estimates) - 1)
    return math.sqrt(spread / len(estimates))
