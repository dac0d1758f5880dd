"""What follows from an error: another attempt, a failed candidate, or the end of the study."""

from __future__ import annotations

import pytest

from nas.errors import AllFailedError, PlaceError
from tests.unit.trials.coordinator.under_way import UnderWay
from trials.coordinator.faults import FIRST_PAUSE_S, LONGEST_PAUSE_S, MAX_UNCLEAR, Faults, check_some_succeeded
from trials.plans.plan import FaultsPlan
from trials.store.write.jobs import fail_job, start_job

TRACE = 'Traceback (most recent call last):\n  File "mine.py", line 3, in forward\n'


def faults(**plan: float) -> Faults:
    return Faults(FaultsPlan(**plan), "study")


def test_a_fault_of_the_place_pauses_its_job_and_ends_the_study_once_it_has_lasted() -> None:
    """The time in which jobs worked does not count towards the time that the fault has lasted."""
    found = faults(patience_minutes=5)
    for _ in range(4):
        found.of_place(1, "the disk is full.", ran_s=3600.0)
        assert found.is_paused(1)
        assert not found.is_paused(2)
    with pytest.raises(PlaceError, match=r"^the disk is full\. This has lasted 5.* minutes .*nas resume study"):
        found.of_place(1, "the disk is full.", ran_s=3600.0)


def test_pauses_grow_up_to_the_longest(caplog: pytest.LogCaptureFixture) -> None:
    found = faults(patience_minutes=60)
    for _ in range(8):
        found.of_place(1, "the device is away")
    pauses = [record.args[1] for record in caplog.records if isinstance(record.args, tuple)]
    assert pauses[0] == FIRST_PAUSE_S
    assert pauses == sorted(pauses)
    assert pauses[-2:] == [LONGEST_PAUSE_S] * 2


def test_a_job_that_succeeded_gets_its_full_patience_back() -> None:
    found = faults(patience_minutes=1)
    for _ in range(50):
        found.of_place(1, "the device is away")
        assert found.waiting
        found.came_through(1)
        assert not found.waiting


def test_an_unexplained_death_is_retried_and_not_counted_while_a_target_is_bad() -> None:
    found = faults()
    assert all(found.is_unclear(1, healthy=False) for _ in range(10 * MAX_UNCLEAR))
    assert [found.is_unclear(1, healthy=True) for _ in range(MAX_UNCLEAR)] == [True] * (MAX_UNCLEAR - 1) + [False]
    found.came_through(1)
    assert found.is_unclear(1, healthy=True)


def test_the_first_trials_that_fail_alike_end_the_study_and_the_message_names_the_last() -> None:
    found = faults(first_failures=3)
    found.ended(0, "ValueError: a", TRACE)
    found.ended(1, "ValueError: b", TRACE)
    with pytest.raises(AllFailedError, match=r"the first 3 trials of study 'study' .*ValueError: c.*nas show study 2 "):
        found.ended(2, "ValueError: c", TRACE)


@pytest.mark.parametrize("between", [(None, ""), ("TypeError: a", TRACE), ("ValueError: a", TRACE.replace("3", "4"))])
def test_failures_at_several_places_or_a_success_between_them_do_not(between: tuple[str | None, str]) -> None:
    found = faults(first_failures=3, failures_in_a_row=4)
    for number in range(5):
        found.ended(number, "ValueError: a", TRACE)
        found.ended(number, "ValueError: a", TRACE)
        found.ended(number, *between)


def test_many_failures_alike_in_a_row_end_the_study_later_too() -> None:
    found = faults(first_failures=3, failures_in_a_row=4)
    found.ended(0, None)
    for number in range(1, 4):
        found.ended(number, "ValueError: a", TRACE)
    with pytest.raises(AllFailedError, match=r"4 trials in a row .*nas show study 4 shows the traceback"):
        found.ended(4, "ValueError: a", TRACE)


def test_a_study_without_a_success_says_so_in_the_end(under_way: UnderWay) -> None:
    store = under_way.store
    for number in range(2):
        opened = under_way.propose(f"{number}")
        attempt = store.write(start_job, under_way.context.assignment.lease, opened.job_id)
        if number == 1:
            store.write(fail_job, opened.job_id, attempt, "ValueError: a", TRACE)
    check_some_succeeded(store, "study", {"failed": 1, "infeasible": 1})
    check_some_succeeded(store, "study", {"stopped": 1})
    with pytest.raises(AllFailedError, match=r"no trial succeeded: 1 failed; nas show study lists .*nas show study 1 "):
        check_some_succeeded(store, "study", {"failed": 1})
