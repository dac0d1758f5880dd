"""How much time does the engine cost per trial? Jobs do nothing, so that only the engine's own steps take time.

    python benchmarks/engine.py --trials 500
    python benchmarks/engine.py --stored 5000     # also restart with 5000 stored trials

The ratio is to the first row: by default the executor ``local`` with the strategy ``random``.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import resource
import sys
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any
from unittest.mock import patch

from rich.console import Console
from rich.table import Table

sys.path.insert(0, str(Path(__file__).parent))

from noop import NoData, Widths  # noqa: F401  (the plan names them)

from nas.space.chooser import RandomChooser
from nas.strategies import Suggestion
from trials.coordinator import canary_jobs
from trials.coordinator.assignment import Assignment
from trials.coordinator.coordinator import Coordinator
from trials.coordinator.description import describe
from trials.executors import EXECUTORS, Executor, Job, Pool
from trials.jobs.environment import owner
from trials.jobs.messages import OF_KIND, Function
from trials.plans.plan import make_plan
from trials.plans.problem import Problem, open_problem
from trials.store.records import JobResult, MetricValue
from trials.store.store import Store
from trials.store.write.jobs import commit_job, start_job
from trials.store.write.leases import acquire_lease, release_lease
from trials.store.write.proposals import propose
from trials.store.write.studies import create_study
from trials.store.write.targets import add_target

POOLS = [Pool("train", 1), Pool("target:local", 1)]
#: Functions that run in place of the jobs of candidates.
NOTHING = {kind: Function[Any, Any](f"noop:{kind}") for kind in OF_KIND}
TARGET = {"spec": {"name": "local"}, "references": {}, "description": {}}


def problem_of(trials: int, strategy: str) -> Problem:
    plan = {
        "task": {"name": "noop:NoData"},
        "space": {"name": "noop:Widths"},
        "strategy": {"name": strategy},
        "measure": {"audit": 0.0, "cache": False, "canary_every": 0},
        "budget": {"trials": trials},
        "code": [str(Path(__file__).parent)],
    }
    return open_problem(make_plan(plan))


def new_study(store: Store, problem: Problem) -> Assignment:
    store.write(add_target, "local", TARGET, {})
    study_id = store.write(
        create_study,
        name="study",
        group="study",
        role="search",
        plan=problem.plan.to_json(),
        limits={},
        objectives=dict(problem.objectives),
        environment={},
        seed=0,
    )
    return assignment(store, study_id, problem)


def assignment(store: Store, study_id: int, problem: Problem) -> Assignment:
    lease = store.write(acquire_lease, study_id, owner(), 600)
    return Assignment("study", lease, problem, {}, {"local": TARGET}, "", "/nonexistent")


def throughput(executor: str, strategy: str, trials: int, folder: str) -> dict[str, Any]:
    """Milliseconds per trial, after the workers have started."""
    problem = problem_of(trials, strategy)
    store = Store(f"sqlite:///{folder}/{executor}-{strategy}.db")
    workers: Executor = EXECUTORS.get(executor)(POOLS, code=problem.plan.code)
    try:
        for pool in POOLS:
            workers.submit(Job(pool.name, "noop:train", {"architecture": {"choices": {"a": 0, "b": 0}}}, pool.name))
        ended = 0
        while ended < len(POOLS):
            ended += sum(event.kind == "done" for event in workers.poll(30))
        coordinator = Coordinator(store, new_study(store, problem), workers, {})
        started, processor = time.perf_counter(), time.process_time()
        with patch.dict(OF_KIND, NOTHING), patch.object(canary_jobs, "CANARY", Function("noop:canary")):
            coordinator.run()
        wall, used = time.perf_counter() - started, time.process_time() - processor
    finally:
        workers.close()
    return {
        "executor": executor,
        "strategy": strategy,
        "trials": trials,
        "ms_per_trial": 1e3 * wall / trials,
        "coordinator_ms_per_trial": 1e3 * used / trials,
    }


def restart(stored: int, strategy: str, folder: str) -> dict[str, Any]:
    """Start a coordinator with ``stored`` finished trials, in a separate process."""
    problem = problem_of(stored + 1, strategy)
    url = f"sqlite:///{folder}/restart-{stored}.db"
    store = Store(url)
    given = new_study(store, problem)
    fill(store, given, problem, stored)
    store.write(release_lease, given.lease, "interrupted", {})
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as fresh:
        return fresh.submit(first_job, stored, strategy, url, given.lease.study_id).result()


def first_job(stored: int, strategy: str, url: str, study_id: int) -> dict[str, Any]:
    """Seconds from the start of a coordinator to its first job, and the peak memory of its process, with Ray."""

    class Dispatched(Exception):
        pass

    class First(EXECUTORS.get("ray_actors")):  # type: ignore[misc]
        def submit(self, job: Job) -> None:
            raise Dispatched

    problem = problem_of(stored + 1, strategy)
    workers = First(POOLS, code=problem.plan.code)
    store = Store(url)
    again = assignment(store, study_id, problem)
    started = time.perf_counter()
    try:
        Coordinator(store, again, workers, {}).run()
    except Dispatched:
        pass
    finally:
        workers.close()
    return {
        "strategy": strategy,
        "stored": stored,
        "first_job_s": time.perf_counter() - started,
        "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    }


def fill(store: Store, given: Assignment, problem: Problem, count: int) -> None:
    for number in range(count):
        chooser = RandomChooser(number)
        network = problem.searched.sample(chooser)
        suggestion = Suggestion.from_chooser(number, chooser)
        step = ("gate", "local")
        proposed = store.write(propose, given.lease, suggestion, describe(problem, network), step)
        if not hasattr(proposed, "job_id"):
            continue
        attempt = store.write(start_job, given.lease, proposed.job_id)
        total = float(sum(int(value or 0) for value in chooser.answers.values()))
        metrics = [MetricValue("accuracy", "", total), MetricValue("latency_ms", "local", total + 1)]
        store.write(commit_job, proposed.job_id, attempt, JobResult({}, metrics, candidate_state="complete"))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trials", type=int, default=300)
    parser.add_argument("--executors", nargs="+", default=["local", "ray_actors"])
    parser.add_argument("--strategies", nargs="+", default=["random", "nsga2"])
    parser.add_argument("--stored", type=int, nargs="*", default=[])
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        rows = [
            throughput(executor, strategy, options.trials, folder)
            for executor in options.executors
            for strategy in options.strategies
            if options.trials
        ]
        restarts = [restart(stored, "nsga2", folder) for stored in options.stored]
    for row in rows:
        row["ratio"] = row["ms_per_trial"] / rows[0]["ms_per_trial"]
    if options.json:
        print(json.dumps({"throughput": rows, "restart": restarts}))
        return
    for found in (rows, restarts):
        if found:
            table = Table(*found[0])
            for row in found:
                table.add_row(*(f"{value:.2f}" if isinstance(value, float) else str(value) for value in row.values()))
            Console().print(table)


if __name__ == "__main__":
    main()
