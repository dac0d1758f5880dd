import os
from collections.abc import Iterator

import pytest

from nas.errors import MeasureError
from nas.latency.machine import affinity


@pytest.fixture(autouse=True)
def _affinity_is_given_back() -> Iterator[None]:
    before = os.sched_getaffinity(0)
    yield
    os.sched_setaffinity(0, before)


def test_training_and_measuring_share_no_core_unless_there_is_one_only() -> None:
    cores = affinity.available_cores()
    assert affinity.measuring_core() == max(cores)
    if len(cores) > 1:
        assert affinity.training_cores(cores[-1:]) == cores[:-1]
    assert affinity.training_cores(cores) == affinity.training_cores([]) == cores
    affinity.pin([cores[0]])
    assert affinity.available_cores() == affinity.training_cores([cores[0]]) == [cores[0]]
    assert affinity.measuring_core() == cores[0]


def test_a_core_that_does_not_exist_is_refused() -> None:
    with pytest.raises(MeasureError, match="can't bind to core 4000"):
        affinity.pin([4000])
    with pytest.raises(MeasureError, match="core 4000 is not available: this process may use"):
        affinity.measuring_cores(4000, 1)


@pytest.mark.parametrize(
    ("core", "threads", "expected"),
    [(None, 1, (5,)), (None, 3, (3, 4, 5)), (3, 2, (2, 3)), (2, 2, (2, 5)), (2, 4, (2, 3, 4, 5))],
)
def test_threads_get_the_core_and_its_neighbours_below(
    monkeypatch: pytest.MonkeyPatch, core: int | None, threads: int, expected: tuple[int, ...]
) -> None:
    monkeypatch.setattr(affinity, "available_cores", lambda: [2, 3, 4, 5])
    assert affinity.measuring_cores(core, threads) == expected


def test_a_session_takes_its_cores_from_those_given() -> None:
    assert affinity.measuring_cores(None, 2, [0, 1, 2, 7]) == (2, 7)
    with pytest.raises(MeasureError, match="core 3 is not available"):
        affinity.measuring_cores(3, 1, [0, 1])


def test_more_threads_than_cores_are_refused() -> None:
    with pytest.raises(MeasureError, match="threads to at most"):
        affinity.measuring_cores(None, 1000)
