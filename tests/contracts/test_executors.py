"""Every registered executor: order, bounds, errors, lost workers, cancelling, large values, nothing left behind."""

from __future__ import annotations

import math
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from trials.executors import EXECUTORS, Event, Executor, Job, Pool

JOBS = str(Path(__file__).parent / "jobs")
POOLS = [Pool("train", size=2, cpus=1), Pool("target:here", size=1, cpus=1)]
PATIENCE_S = 60.0


@pytest.fixture(scope="module", params=EXECUTORS.names())
def executor(request: pytest.FixtureRequest) -> Iterator[Executor]:
    made = EXECUTORS.get(request.param)(POOLS, code=[JOBS])
    yield made
    made.close()
    made.close()


def job(key: str, function: str, pool: str = "train", **payload: object) -> Job:
    return Job(key, f"some_jobs:{function}", payload, pool)


def finish(executor: Executor, keys: set[str]) -> list[Event]:
    """Events until every key has ended."""
    events: list[Event] = []
    deadline = time.monotonic() + PATIENCE_S
    while keys - {event.key for event in events if event.kind != "progress"}:
        assert time.monotonic() < deadline, f"no end of {keys} in {events}"
        events += executor.poll(1.0)
    return events


def run(executor: Executor, *jobs: Job) -> list[Event]:
    for item in jobs:
        executor.submit(item)
    return finish(executor, {item.key for item in jobs})


def check_order(executor: Executor) -> None:
    events = run(executor, job("order", "count", to=5))
    assert [event.kind for event in events] == ["progress"] * 5 + ["done"]
    assert [event.value["number"] for event in events[:-1]] == list(range(5))
    assert events[-1].value["result"] == 5


def check_pools_run_side_by_side_and_no_more_than_their_size(executor: Executor) -> None:
    run(executor, job("warm0", "nap", seconds=0.1), job("warm1", "nap", seconds=0.1))
    run(executor, job("warm2", "nap", "target:here", seconds=0.0))
    assert executor.free("train") == 2
    executor.submit(job("a", "nap", seconds=1.0))
    executor.submit(job("b", "nap", seconds=1.0))
    executor.submit(job("c", "nap", "target:here", seconds=1.0))
    assert executor.free("train") == 0
    assert executor.free("target:here") == 0
    with pytest.raises(Exception, match="full"):
        executor.submit(job("d", "nap", seconds=0.0))
    done = {event.key: event.value for event in finish(executor, {"a", "b", "c"})}
    assert max(value["start"] for value in done.values()) < min(value["end"] for value in done.values())
    assert executor.free("train") == 2


def check_errors_carry_type_message_and_traceback(executor: Executor) -> None:
    *_, event = run(executor, job("error", "fail"))
    assert (event.kind, event.error) == ("error", "ValueError: this job fails on purpose")
    assert "in fail" in event.traceback


def check_a_lost_worker_is_reported_and_replaced(executor: Executor) -> None:
    (event,) = run(executor, job("lost", "die"))
    assert event.kind == "lost"
    assert event.error
    assert run(executor, job("after", "count", to=0))[-1].kind == "done"


def check_a_cancelled_job_ends_without_an_event(executor: Executor) -> None:
    executor.submit(job("cancelled", "nap", seconds=600))
    events = executor.poll(4.0)
    executor.cancel("cancelled")
    executor.cancel("no such job")
    assert executor.free("train") == 2
    events += run(executor, job("next", "count", to=0), job("next2", "count", to=0))
    assert {event.key for event in events} == {"next", "next2"}


def check_large_and_odd_values_survive(executor: Executor) -> None:
    text = "ü\n" * 1_000_000
    *_, event = run(executor, job("large", "echo", text=text))
    assert event.value["text"] == text
    assert math.isnan(event.value["number"])


CHECKS = [
    check_order,
    check_pools_run_side_by_side_and_no_more_than_their_size,
    check_errors_carry_type_message_and_traceback,
    check_a_lost_worker_is_reported_and_replaced,
    check_a_cancelled_job_ends_without_an_event,
    check_large_and_odd_values_survive,
]


@pytest.mark.parametrize("check", CHECKS)
def test_executor(executor: Executor, check: Callable[[Executor], None]) -> None:
    check(executor)


COORDINATOR = """
import sys
from trials.executors import EXECUTORS, Job, Pool
if __name__ == "__main__":
    executor = EXECUTORS.get(sys.argv[1])([Pool("train", 1)], code=[sys.argv[2]])
    executor.submit(Job("a", "some_jobs:count", {"to": 1}, "train"))
    pid = None
    while pid is None:
        pid = next((event.value["pid"] for event in executor.poll(5) if event.kind == "done"), None)
    executor.submit(Job("b", "some_jobs:nap", {"seconds": 600}, "train"))
    executor.poll(1)
    print(pid, flush=True)
    executor.poll(600)
"""


@pytest.mark.parametrize("name", EXECUTORS.names())
def test_workers_die_with_a_killed_coordinator(name: str, tmp_path: Path) -> None:
    script = tmp_path / "coordinator.py"
    script.write_text(COORDINATOR)
    process = subprocess.Popen([sys.executable, str(script), name, JOBS], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    pid = int(process.stdout.readline())
    assert Path(f"/proc/{pid}").exists()
    process.kill()
    process.wait()
    process.stdout.close()
    deadline = time.monotonic() + 30
    while _alive(pid):
        assert time.monotonic() < deadline, "the worker lives on"
        time.sleep(0.2)


class _Silent(EXECUTORS.get("local")):  # type: ignore[misc]
    """Planted: swallows lost workers, forgets half of a job's values, never frees a slot of a cancelled job."""

    def poll(self, timeout_s: float) -> list[Event]:
        events = super().poll(min(timeout_s, 0.2))
        return [event for event in events if event.kind != "lost" and event.value.get("number") != 1]

    def cancel(self, key: str) -> None:
        pass


@pytest.mark.parametrize(
    "check",
    [check_order, check_a_lost_worker_is_reported_and_replaced, check_a_cancelled_job_ends_without_an_event],
)
def test_checks_fail_on_an_executor_that_breaks_the_contract(
    check: Callable[[Executor], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys.modules[__name__], "PATIENCE_S", 3.0)
    broken = _Silent(POOLS, code=[JOBS])
    try:
        with pytest.raises(AssertionError):
            check(broken)
    finally:
        broken.close()


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, signal.SIG_DFL)
        return "State:\tZ" not in Path(f"/proc/{pid}/status").read_text()
    except (ProcessLookupError, FileNotFoundError):
        return False
