"""How many networks a space has."""

from __future__ import annotations

import math
import random
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from nas.space.chooser import Chooser, Question, RandomChooser, Value

#: Builds of the first look, which decides whether counting is worth its time.
_FIRST_WALKS = 20


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
    estimated by random walks (Knuth 1975, "Estimating the efficiency of backtrack programs"): the product of
    the numbers of options met on a walk is an unbiased estimate of the number of leaves.

    Args:
        build: asks all questions of a space; what it returns is thrown away.
        limit: most leaves to count.
        walks: most random walks.
        seed: of the walks.
        max_seconds: for counting, and for walking, each; at least 20 walks are made.
    """
    generator = random.Random(seed)
    started = time.monotonic()
    products = [_walk(build, generator) for _ in range(min(walks, _FIRST_WALKS))]
    seconds_each = (time.monotonic() - started) / len(products)
    if _mean(products) <= min(2 * limit, 2 * max_seconds / seconds_each):
        counted = _count(build, limit, time.monotonic() + max_seconds)
        if counted is not None:
            return SpaceSize(True, float(counted), 0.0)
    end = time.monotonic() + max_seconds
    while len(products) < walks and time.monotonic() < end:
        products.append(_walk(build, generator))
    mean = _mean(products)
    spread = math.fsum((product / mean - 1) ** 2 for product in products) / (len(products) - 1)
    return SpaceSize(False, mean, math.sqrt(spread / len(products)))


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


def _walk(build: Callable[[Chooser], Any], generator: random.Random) -> float:
    """One random walk to a leaf: the product of the numbers of options on its way."""
    chooser = RandomChooser(generator.getrandbits(32))
    build(chooser)
    return math.prod(
        float(len(question.options)) for question in chooser.questions.values() if question.active
    )


def _mean(products: list[float]) -> float:
    return math.fsum(products) / len(products)
