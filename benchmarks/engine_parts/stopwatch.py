"""How much processor time of a coordinator belongs to the space, and how much to the strategy."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from unittest.mock import patch

from nas.space.sampling import Searched
from trials.coordinator.description import Sampled
from trials.coordinator.proposals import Proposals
from trials.plans.problem import Problem


class Stopwatch:
    """Processor seconds spent inside of functions that are watched; functions inside of each other count once."""

    def __init__(self) -> None:
        self.spent_s = 0.0
        self._depth = 0

    @contextmanager
    def running(self) -> Iterator[None]:
        started = time.process_time()
        self._depth += 1
        try:
            yield
        finally:
            self._depth -= 1
            if not self._depth:
                self.spent_s += time.process_time() - started

    def watched(self, function: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any, **options: Any) -> Any:
            with self.running():
                return function(*arguments, **options)

        return call


@contextmanager
def watches() -> Iterator[tuple[Stopwatch, Stopwatch]]:
    """Stopwatches of the space, which builds, traces and describes networks, and of the strategy with the space."""
    space, strategy = Stopwatch(), Stopwatch()

    @contextmanager
    def timed(proposals: Proposals, what: str) -> Iterator[None]:
        with strategy.running():
            yield

    with (
        patch.object(Searched, "sample", space.watched(Searched.sample)),
        patch.object(Problem, "trace", space.watched(Problem.trace)),
        patch.object(Sampled, "described", strategy.watched(space.watched(Sampled.described))),
        patch.object(Proposals, "_timed", timed),
    ):
        yield space, strategy
