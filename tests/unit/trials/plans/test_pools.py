"""Which cores train and which measure, which pools take turns, and what this machine can't run."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from nas.errors import MeasureError, PlanError
from nas.latency.machine.affinity import available_cores
from trials.executors import Event, Job, Pool
from trials.executors.local import LocalExecutor
from trials.executors.turns import TurnTaking, both_ways
from trials.plans.machine import check_fits_here, gpus_here
from trials.plans.plan import Plan, make_plan
from trials.plans.pools import SHARE, pools

CORES = available_cores()
JOBS = str(Path(__file__).parents[3] / "contracts" / "jobs")
SHARED = [Pool("train", 2, turns_with=frozenset({"target:duo"})), Pool("target:duo", 1), Pool("target:pi", 1)]


def plan(threads: int = 1, **keys: Any) -> Plan:
    targets = [{"name": "duo", "threads": threads}]
    return make_plan({"task": {"name": "digits"}, "space": {"name": "plain_convnet"}, "targets": targets, **keys})


def test_a_target_has_as_many_cores_as_threads() -> None:
    for threads in range(1, len(CORES) + 1):
        train, duo = pools(plan(threads), local=True)
        assert duo.cores == tuple(CORES[-threads:])
        assert set(train.cores) == set(CORES[:-threads] or CORES)
        assert bool(train.turns_with) == (threads == len(CORES))


def test_trainers_keep_off_the_cores_of_every_target() -> None:
    targets = [{"name": "first", "core": CORES[0]}, {"name": "last"}]
    train, first, last = pools(plan(targets=targets), local=True)
    assert (first.cores, last.cores) == ((CORES[0],), (CORES[-1],))
    assert set(train.cores) == set(CORES[1:-1] or CORES)


def test_on_a_cluster_trainers_are_told_which_cores_to_leave() -> None:
    train, duo = pools(plan(2), local=False)
    assert train.keeps_off == {"target:duo": (None, 2)}
    assert (duo.cpus, duo.resources) == (2, {"target:duo": SHARE})


def test_on_a_cluster_trainings_reserve_their_memory() -> None:
    train, _ = pools(plan(resources={"train": {"max_memory_mb": 1500, "gpus": 0.5}}), local=False)
    assert (train.memory_bytes, train.gpus) == (1_500_000_000, 0.5)


@pytest.mark.parametrize(
    ("target", "message"),
    [({"threads": 1000}, "set the target's threads to at most"), ({"core": 4000}, "core 4000 is not available")],
)
def test_cores_that_are_not_here_are_refused(target: dict[str, Any], message: str) -> None:
    with pytest.raises(MeasureError, match=message):
        pools(plan(targets=[{"name": "duo", **target}]), local=True)


@pytest.mark.parametrize(
    ("train", "message"),
    [
        ({"gpus": gpus_here() + 1}, f"sees {gpus_here()} GPU.*set resources.train.gpus to {gpus_here()}"),
        ({"cpus": len(CORES) + 1}, f"may use {len(CORES)} core.*set at most {len(CORES)}"),
    ],
)
def test_trainings_that_never_fit_here_are_refused(train: dict[str, Any], message: str) -> None:
    with pytest.raises(PlanError, match=message):
        check_fits_here(plan(resources={"train": train}))


def ended(executor: TurnTaking) -> list[str]:
    events: list[Event] = []
    while not any(event.kind != "progress" for event in events):
        events += executor.poll(1.0)
    return [event.kind for event in events if event.kind != "progress"]


def test_pools_that_share_cores_take_turns(tmp_path: Path) -> None:
    executor = TurnTaking(LocalExecutor(SHARED, code=[JOBS]), SHARED)
    go = str(tmp_path / "go")
    try:
        executor.submit(Job("a", "some_jobs:hold", {"until": go}, "train"))
        assert [executor.free(name) for name in ("train", "target:duo", "target:pi")] == [1, 0, 1]
        Path(go).touch()
        assert ended(executor) == ["done"]
        executor.submit(Job("b", "some_jobs:hold", {"until": str(tmp_path / "never")}, "target:duo"))
        assert [executor.free(name) for name in ("train", "target:duo", "target:pi")] == [0, 0, 1]
        executor.cancel("b")
        assert [executor.free(name) for name in ("train", "target:duo", "target:pi")] == [2, 1, 1]
    finally:
        executor.close()


def test_turns_hold_both_ways() -> None:
    assert [set(pool.turns_with) for pool in both_ways(SHARED)] == [{"target:duo"}, {"train"}, set()]
