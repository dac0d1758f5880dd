"""The contract of every registered executor: order, limits, errors, lost workers, cancelling, large values, no
leftovers.
"""

from __future__ import annotations

import math
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from nas.errors import JobError
from trials.executors import EXECUTORS, Event, Executor, Job, JobLimits, Pool
from trials.executors.local import LocalExecutor
from trials.executors.template import Template

JOBS = str(Path(__file__).parent / "jobs")
CORE = max(os.sched_getaffinity(0))
POOLS = [Pool("train", size=2), Pool("target:here", size=1, cpus=2, cores=(CORE,))]
PATIENCE_S = 60.0

Check = Callable[[Executor, Path], None]


@pytest.fixture(scope="module")
def others() -> set[int]:
    """Processes of other tests, for example a database server."""
    return set(descendants())


@pytest.fixture(scope="module")
def executor(request: pytest.FixtureRequest, others: set[int]) -> Iterator[Executor]:
    """One executor for all checks; each check must leave it unchanged. A process has at most one connection to Ray."""
    made = EXECUTORS.get(request.param)(POOLS, code=[JOBS])
    yield made
    made.close()


def job(key: str, function: str, pool: str = "train", **payload: object) -> Job:
    return Job(key, f"some_jobs:{function}", payload, pool)


def until(executor: Executor, enough: Callable[[list[Event]], bool]) -> list[Event]:
    """Collect events until there are enough of them."""
    events: list[Event] = []
    deadline = time.monotonic() + PATIENCE_S
    while not enough(events):
        assert time.monotonic() < deadline, f"waiting for more than {events}"
        events += executor.poll(0.5)
    return events


def run(executor: Executor, *jobs: Job) -> dict[str, list[Event]]:
    """The events of the jobs, each run to its end."""
    for item in jobs:
        executor.submit(item)
    events = until(executor, lambda seen: sum(event.kind != "progress" for event in seen) == len(jobs))
    return {item.key: [event for event in events if event.key == item.key] for item in jobs}


def running(executor: Executor, *jobs: Job) -> list[Event]:
    """Submit jobs and wait for the first progress of each."""
    for item in jobs:
        executor.submit(item)
    return until(executor, lambda seen: {event.key for event in seen} >= {item.key for item in jobs})


def check_usable(executor: Executor) -> None:
    """Check that every slot of every pool still accepts a job."""
    assert (executor.free("train"), executor.free("target:here")) == (2, 1)
    ended = run(executor, job("x", "count", to=0), job("y", "count", to=0), job("z", "count", "target:here", to=0))
    assert [events[-1].kind for events in ended.values()] == ["done"] * 3


def check_order_is_kept_per_job(executor: Executor, folder: Path) -> None:
    for events in run(executor, job("one", "count", to=5), job("two", "count", to=5)).values():
        assert [event.kind for event in events] == ["progress"] * 6 + ["done"]
        assert [event.value.get("number") for event in events[:5]] == list(range(5))
        assert events[-1].value == events[-2].value
        assert events[-1].value["result"] == 5


def check_progress_comes_at_once_and_pools_run_side_by_side(executor: Executor, folder: Path) -> None:
    """Check that all jobs report progress before any of them may end."""
    file = folder / "go"
    jobs = [job(key, "hold", until=str(file)) for key in "ab"]
    events = running(executor, *jobs, job("c", "hold", "target:here", until=str(file)))
    assert {event.kind for event in events} == {"progress"}
    assert len({event.value["pid"] for event in events}) == 3
    file.touch()
    ended = until(executor, lambda seen: sum(event.kind == "done" for event in seen) == 3)
    assert all(event.value == {"held": True} for event in ended)


def check_a_pool_takes_no_more_than_its_size(executor: Executor, folder: Path) -> None:
    file = folder / "go"
    for left, key in ((2, "a"), (1, "b")):
        assert executor.free("train") == left
        executor.submit(job(key, "hold", until=str(file)))
    assert executor.free("train") == 0
    with pytest.raises(JobError, match="full"):
        executor.submit(job("c", "count", to=0))
    with pytest.raises(JobError, match="no pool 'other'"):
        executor.free("other")
    file.touch()
    until(executor, lambda seen: sum(event.kind == "done" for event in seen) == 2)
    assert executor.free("train") == 2


def check_a_pool_shrinks_as_its_jobs_end_and_grows_again(executor: Executor, folder: Path) -> None:
    """An executor without clusters refuses to resize."""
    if isinstance(executor, LocalExecutor):
        with pytest.raises(JobError, match="'train' keeps its size"):
            executor.resize("train", 1)
        return
    running(executor, *(job(key, "hold", until=str(folder / key)) for key in "ab"))
    executor.resize("train", 0)
    (folder / "a").touch()
    *_, ended = until(executor, lambda seen: any(event.kind != "progress" for event in seen))
    assert (ended.key, ended.kind) == ("a", "done"), "a job that runs must come to its end"
    assert executor.free("train") == 0
    (folder / "b").touch()
    *_, ended = until(executor, lambda seen: any(event.kind != "progress" for event in seen))
    assert (ended.key, ended.kind) == ("b", "done")
    assert executor.free("train") == 1, "a pool keeps at least one worker"
    executor.resize("train", 5)
    deadline = time.monotonic() + PATIENCE_S
    while executor.free("train") < 2:
        assert time.monotonic() < deadline
        executor.poll(0.1)
    check_usable(executor)


def check_errors_carry_type_message_and_traceback(executor: Executor, folder: Path) -> None:
    expected = {
        "fail": "ValueError: this job fails on purpose",
        "leave": "SystemExit: this job leaves on purpose",
        "unreadable": "TypeError: Object of type object is not JSON serializable",
        "listed": "TypeError: some_jobs:listed yields list; a job must yield dicts of JSON values",
        "missing": "UnknownNameError: job 'some_jobs:missing'",
    }
    for function, error in expected.items():
        *_, event = run(executor, job(function, function))[function]
        assert event.kind == "error"
        assert event.error.startswith(error)
        assert "Traceback" in event.traceback
        assert function not in ("fail", "leave") or f"in {function}\n" in event.traceback


def check_a_device_that_is_away_is_no_error_of_the_job(executor: Executor, folder: Path) -> None:
    *_, event = run(executor, job("miss", "miss"))["miss"]
    assert (event.kind, event.error) == ("place", "the device of this job is away on purpose")
    check_usable(executor)


def check_a_killed_worker_is_reported_and_replaced(executor: Executor, folder: Path) -> None:
    ended = run(executor, job("lost", "die"), job("lost2", "die"))
    for events in ended.values():
        assert [event.kind for event in events] == ["progress", "place"]
        assert "killed from outside by SIGKILL" in events[-1].error
    check_usable(executor)


def check_who_is_to_blame_for_an_end(executor: Executor, folder: Path) -> None:
    """A signal from outside is a fault of the place; a crash or an exit is the fault of the job; others are unclear."""
    expected = {
        signal.SIGTERM: "place",
        signal.SIGSEGV: "error",
        signal.SIGABRT: "error",
        signal.SIGFPE: "error",
        signal.SIGILL: "error",
        signal.SIGBUS: "lost",
    }
    for number, kind in expected.items():
        *_, event = run(executor, job(number.name, "end", signal=int(number)))[number.name]
        assert (event.kind, number.name in event.error) == (kind, True), event
    *_, left = run(executor, job("exit", "end", code=3))["exit"]
    assert (left.kind, "exit code 3" in left.error) == ("error", True)
    check_usable(executor)


def check_a_job_that_exceeds_a_limit_ends_with_its_processes(executor: Executor, folder: Path) -> None:
    late = replace(job("late", "hold_with_a_process"), limits=JobLimits(max_s=1.0, key="resources.train"))
    started, event = run(executor, late)["late"]
    assert event.kind == "error"
    assert "TimeLimit" in event.error
    assert "resources.train.max_minutes" in event.error
    assert wait_for_end([started.value["pid"], started.value["child"]]) == []
    for child in (False, True):
        large = replace(job("large", "eat", child=child), limits=JobLimits(max_memory_bytes=1 << 30))
        *_, event = run(executor, large)["large"]
        assert event.kind == "error"
        assert "MemoryLimit" in event.error
    check_usable(executor)


def check_a_job_that_leaves_a_process_fails(executor: Executor, folder: Path) -> None:
    started, event = run(executor, job("left", "leave_a_process"))["left"]
    assert event.kind == "error"
    assert "left 1 process behind" in event.error
    assert wait_for_end([started.value["child"]]) == []


def check_a_bad_folder_is_no_error_of_the_job(executor: Executor, folder: Path) -> None:
    """A full disk of 1 MB, told by a library without an error number; then a folder that goes while it is used."""
    with small_disk(folder) as disk:
        *_, event = run(executor, job("full", "fill_the_disk", folder=str(disk)))["full"]
        assert event.kind == "place", event
    new = str(folder / "new" / "folder")
    *_, event = run(executor, replace(job("gone", "write_where_nothing_is", folder=new), folders=[new]))["gone"]
    assert event.kind == "place", event
    check_usable(executor)


def check_a_death_is_seen_though_a_child_lives(executor: Executor, folder: Path) -> None:
    """A child holds all files of the worker open, so that the worker's death closes no connection."""
    started, lost = run(executor, job("parent", "die_as_a_parent"))["parent"]
    assert lost.kind == "place"
    assert wait_for_end([started.value["child"]]) == []
    check_usable(executor)


def check_a_cancelled_job_ends_without_an_event(executor: Executor, folder: Path) -> None:
    never = str(folder / "never")
    (started,) = running(executor, job("running", "hold", until=never))
    executor.submit(job("just taken", "hold", until=never))
    executor.cancel("running")
    executor.cancel("just taken")
    executor.cancel("no such job")
    check_usable(executor)
    assert wait_for_end([started.value["pid"]]) == []


def check_large_and_odd_values_survive(executor: Executor, folder: Path) -> None:
    text = "ü\n" * 2_500_000
    *_, event = run(executor, job("large", "echo", text=text))["large"]
    assert event.kind == "done", event.error
    assert event.value["text"] == text
    nan, *others = event.value["odd"]
    assert math.isnan(nan)
    assert others == [math.inf, None, True, "\ud800"]


def check_a_worker_has_what_its_pool_says(executor: Executor, folder: Path) -> None:
    *_, train = run(executor, job("train", "surroundings"))["train"]
    *_, measure = run(executor, job("measure", "surroundings", "target:here"))["measure"]
    assert train.value["threads"] == "1"
    assert train.value["cores"] == sorted(os.sched_getaffinity(0))
    assert measure.value["threads"] == "2"
    assert measure.value["cores"] == [CORE]
    assert train.value["typed"] == ""
    assert Path(train.value["file"]).parent == Path(JOBS)


CHECKS: list[Check] = [
    check_order_is_kept_per_job,
    check_progress_comes_at_once_and_pools_run_side_by_side,
    check_a_pool_takes_no_more_than_its_size,
    check_a_pool_shrinks_as_its_jobs_end_and_grows_again,
    check_errors_carry_type_message_and_traceback,
    check_a_device_that_is_away_is_no_error_of_the_job,
    check_a_killed_worker_is_reported_and_replaced,
    check_a_death_is_seen_though_a_child_lives,
    check_who_is_to_blame_for_an_end,
    check_a_job_that_exceeds_a_limit_ends_with_its_processes,
    check_a_job_that_leaves_a_process_fails,
    check_a_bad_folder_is_no_error_of_the_job,
    check_a_cancelled_job_ends_without_an_event,
    check_large_and_odd_values_survive,
    check_a_worker_has_what_its_pool_says,
]


#: Both Ray executors share most code, so most checks of one of them are among the slow tests.
FEW: list[Check] = [check_a_killed_worker_is_reported_and_replaced]
WHOLE = [name for name in EXECUTORS.names() if name != "ray_tune"]


# Two decorators, because pytest would otherwise make a new executor for each check.
@pytest.mark.parametrize("check", CHECKS)
@pytest.mark.parametrize("executor", WHOLE, indirect=True)
def test_executor(executor: Executor, check: Check, tmp_path: Path) -> None:
    check(executor, tmp_path)


@pytest.mark.parametrize(
    "check", [pytest.param(check, marks=[] if check in FEW else [pytest.mark.slow]) for check in CHECKS]
)
@pytest.mark.parametrize("executor", ["ray_tune"], indirect=True)
def test_the_other_executor_of_ray(executor: Executor, check: Check, tmp_path: Path) -> None:
    check(executor, tmp_path)


@pytest.mark.parametrize("executor", EXECUTORS.names(), indirect=True)
def test_close_leaves_no_process(executor: Executor, others: set[int], tmp_path: Path) -> None:
    """This is the last test of an executor: even a job in the middle of its work must not survive."""
    running(executor, job("a", "hold", until=str(tmp_path / "never")))
    started = [pid for pid in descendants() if pid not in others]
    assert started
    executor.close()
    executor.close()
    assert wait_for_end(started) == []


COORDINATOR = """
import sys
from trials.executors import EXECUTORS, Job, Pool

name, code, tests = sys.argv[1:]
sys.path.insert(0, tests)
from test_executors import descendants

out, sys.stdout = sys.stdout, sys.stderr  # Ray prints
executor = EXECUTORS.get(name)([Pool("train", 1)], code=[code])
executor.submit(Job("a", "some_jobs:hold", {"until": "/never"}, "train"))
while not executor.poll(5):
    pass
print(*descendants(), file=out, flush=True)
executor.poll(600)
"""


@pytest.mark.parametrize("name", [*WHOLE, pytest.param("ray_tune", marks=pytest.mark.slow)])
def test_nothing_outlives_a_killed_coordinator(name: str, tmp_path: Path) -> None:
    script = tmp_path / "coordinator.py"
    script.write_text(COORDINATOR)
    command = [sys.executable, str(script), name, JOBS, str(Path(__file__).parent)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        started = [int(pid) for pid in process.stdout.readline().split()]
        # Two idle processes of Ray itself retry for a minute to reach the dead head.
        workers = [pid for pid in started if b"Agent" not in Path(f"/proc/{pid}/cmdline").read_bytes()]
        assert any(alive(pid) for pid in workers)
        process.kill()
    assert wait_for_end(workers) == []


def test_the_local_executor_ends_what_a_job_started_and_cleans_up_behind_killed_jobs() -> None:
    executor = EXECUTORS.get("local")(POOLS, code=[JOBS])
    events = running(executor, job("a", "start_a_process"), job("b", "litter"))
    started = {event.key: event.value for event in events}
    folder = Path(started["b"]["folder"])
    assert folder.is_dir()
    executor.close()
    assert wait_for_end([started["a"]["child"]]) == []
    assert not folder.exists()


def test_the_local_executor_outlives_the_process_it_forks_from() -> None:
    executor = LocalExecutor(POOLS, code=[JOBS])
    template = executor._template = Template(preload=())
    try:
        assert template._process is not None
        (started,) = running(executor, job("a", "hold", until="/never"))
        os.kill(template._process.pid, signal.SIGKILL)
        check_order = run(executor, job("b", "count", "target:here", to=1))
        assert check_order["b"][-1].kind == "done"
        assert executor._template is not template
        os.kill(started.value["pid"], signal.SIGKILL)
        (lost,) = until(executor, bool)
        assert lost.kind == "lost"
        check_usable(executor)
    finally:
        executor.close()


@pytest.mark.parametrize("address", ["127.0.0.1:1", "ray://127.0.0.1:10001", "nowhere"])
@pytest.mark.parametrize("name", EXECUTORS.names())
def test_an_address_without_a_cluster_is_refused(name: str, address: str) -> None:
    with pytest.raises(JobError, match=address):
        EXECUTORS.get(name)(POOLS, address=address)


LOSING = """
import os, signal, sys
from pathlib import Path
from nas.errors import PlaceError
from trials.executors import EXECUTORS, Job, Pool

name, code, tests, part = sys.argv[1:]
sys.path.insert(0, tests)
from test_executors import descendants

executor = EXECUTORS.get(name)([Pool("train", 1)], code=[code])
executor.submit(Job("a", "some_jobs:hold", {"until": "/never"}, "train"))
while not executor.poll(5):
    pass
(victim,) = [pid for pid in descendants() if Path(f"/proc/{pid}/exe").resolve().name == part]
os.kill(victim, signal.SIGKILL)
try:
    while True:
        executor.poll(30)
except PlaceError as error:
    print(error, file=sys.stderr, flush=True)
    executor.close()
"""


@pytest.mark.slow
@pytest.mark.parametrize("part", ["raylet", "gcs_server"])
@pytest.mark.parametrize("name", ["ray_actors", "ray_tune"])
def test_a_dead_part_of_ray_is_noticed(name: str, part: str, tmp_path: Path) -> None:
    script = tmp_path / "losing.py"
    script.write_text(LOSING)
    command = [sys.executable, str(script), name, JOBS, str(Path(__file__).parent), part]
    ran = subprocess.run(command, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True, timeout=150)
    assert ran.returncode == 0, ran.stderr
    assert f"({part.removesuffix('_server')})".lower() in ran.stderr.lower()
    assert "has not answered" in ran.stderr


class _Silent(EXECUTORS.get("local")):  # type: ignore[misc]
    """Planted: does not report killed workers."""

    def poll(self, timeout_s: float) -> list[Event]:
        return [event for event in super().poll(timeout_s) if event.kind != "place"]


class _Holding(EXECUTORS.get("local")):  # type: ignore[misc]
    """Planted: reports progress only together with the result."""

    def poll(self, timeout_s: float) -> list[Event]:
        events = super().poll(timeout_s)
        self._held = [*getattr(self, "_held", []), *events]
        told = self._held if any(event.kind != "progress" for event in events) else []
        self._held = [] if told else self._held
        return told


class _Unordered(_Holding):
    """Planted: reports the result before the progress."""

    def poll(self, timeout_s: float) -> list[Event]:
        return super().poll(timeout_s)[::-1]


class _Greedy(EXECUTORS.get("local")):  # type: ignore[misc]
    """Planted: accepts any number of jobs."""

    def free(self, pool: str) -> int:
        super().free(pool)
        return 2


class _Stubborn(EXECUTORS.get("local")):  # type: ignore[misc]
    """Planted: a cancelled job continues."""

    def cancel(self, key: str) -> None:
        pass


class _Loose(EXECUTORS.get("local")):  # type: ignore[misc]
    """Planted: ignores the cores and threads of the pool."""

    def _start(self, pool: Pool) -> object:
        return super()._start(Pool(pool.name, pool.size))


PLANTED: list[tuple[type[Executor], Check]] = [
    (_Silent, check_a_killed_worker_is_reported_and_replaced),
    (_Holding, check_progress_comes_at_once_and_pools_run_side_by_side),
    (_Unordered, check_order_is_kept_per_job),
    (_Greedy, check_a_pool_takes_no_more_than_its_size),
    (_Stubborn, check_a_cancelled_job_ends_without_an_event),
    (_Loose, check_a_worker_has_what_its_pool_says),
]


@pytest.mark.parametrize(
    ("broken", "check"), [PLANTED[0], *(pytest.param(*item, marks=pytest.mark.slow) for item in PLANTED[1:])]
)
def test_the_suite_fails_on_an_executor_that_breaks_the_contract(
    broken: type[Executor], check: Check, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys.modules[__name__], "PATIENCE_S", 2.0)
    planted = broken(POOLS, code=[JOBS])
    try:
        with pytest.raises((AssertionError, pytest.fail.Exception)):
            check(planted, tmp_path)
    finally:
        planted.close()


@contextmanager
def small_disk(folder: Path, megabytes: int = 1) -> Iterator[Path]:
    """A disk of the given number of megabytes; only root can create one."""
    place = folder / "disk"
    place.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={megabytes}m", "tmpfs", str(place)], check=False)
    if mounted.returncode != 0:
        pytest.skip("mounting a small disk takes root")
    try:
        yield place
    finally:
        subprocess.run(["umount", "-l", str(place)], check=True)


def descendants() -> list[int]:
    """Processes below this one, without those that have already ended."""
    parents = {}
    for entry in Path("/proc").glob("[0-9]*/stat"):
        try:
            state, parent = entry.read_text().rpartition(")")[2].split()[:2]
        except OSError:
            continue
        if state not in "ZX":
            parents[int(entry.parent.name)] = int(parent)
    found = {os.getpid()}
    while new := {pid for pid, parent in parents.items() if parent in found} - found:
        found |= new
    return sorted(found - {os.getpid()})


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False


def wait_for_end(pids: list[int]) -> list[int]:
    """Those of ``pids`` that are still alive after a grace period."""
    deadline = time.monotonic() + 30
    while (left := [pid for pid in pids if alive(pid)]) and time.monotonic() < deadline:
        time.sleep(0.05)
    return left
