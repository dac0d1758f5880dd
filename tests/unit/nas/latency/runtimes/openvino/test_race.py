from collections.abc import Callable, Iterator
from itertools import count

import pytest

from nas.latency.runtimes.openvino.race import NOTHING, Race, Variant

A, B, C = (frozenset(name) for name in "abc")


def race(time_of: Callable[[Variant], float], loaded: list[Variant], budget_s: float = 2.0) -> Race:
    """A race of graphs with known times in milliseconds; every other run is disturbed."""

    def load(variant: Variant) -> Callable[[], int]:
        loaded.append(variant)
        runs: Iterator[int] = count()
        return lambda: round(time_of(variant) * 1e6 * (1.5 if next(runs) % 2 else 1))

    return Race(load, round(budget_s * 1e9))


def winner(gains: dict[str, float], starts: list[Variant]) -> Variant:
    def time_of(variant: Variant) -> float:
        # Each change between the layouts of the kernels and the runtime costs time, so it counts wherever neighbours
        # differ.
        borders = sum((left in variant) != (right in variant) for left, right in zip("abc", "bc", strict=False))
        return 10 - sum(gains[name] for name in variant) + 0.5 * borders

    return race(time_of, []).winner(starts, [A, B, C])


def test_the_fastest_start_wins() -> None:
    assert winner({"a": 1, "b": 1, "c": 1}, [A | B | C, A]) == A | B | C


def test_flips_improve_a_start() -> None:
    assert winner({"a": 2, "b": 2, "c": -3}, [A | B | C]) == A | B
    assert winner({"a": 2, "b": 2, "c": 2}, [A]) == A | B | C


def test_a_kernel_whose_gain_is_lost_to_reorders_is_not_used() -> None:
    assert winner({"a": 0.3, "b": -1, "c": 0.3}, [A, C]) == NOTHING


def test_an_uncertain_gain_is_ignored() -> None:
    assert race(lambda variant: 10 - 0.05 * len(variant), []).winner([A], [A]) == NOTHING


def test_without_time_no_flip_is_tried() -> None:
    loaded: list[Variant] = []
    assert race(lambda variant: 10 - len(variant), loaded, 0.0).winner([A], [B, C]) == A
    assert set(loaded) == {NOTHING, A}


@pytest.mark.parametrize("starts", [[], [NOTHING]])
def test_without_a_start_flips_are_tried_from_nothing(starts: list[Variant]) -> None:
    assert race(lambda variant: 10 - len(variant), []).winner(starts, [A, B]) == A | B
