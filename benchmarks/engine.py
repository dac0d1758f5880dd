"""How much time does the engine cost per trial? Jobs do nothing, so that only the engine's own steps take time.

    python benchmarks/engine.py --trials 500
    python benchmarks/engine.py --stored 5000     # also restart with 5000 stored trials
    python benchmarks/engine.py --postgresql --actors 4 --executors ray_actors --beside 200
    python benchmarks/engine.py --waits --trials 200 --executors ray_actors --address 127.0.0.1:6379

The ratio is to the first row: by default the executor ``local`` with the strategy ``random``. With ``--postgresql``, a
server is started for the run. With ``--beside N``, N equal trials also run in Ray Tune with OptunaSearch, and in Optuna
with its own database on that server, in as many processes as there are actors. With ``--waits``, each training waits
for two seconds, and ``busy`` is the share of their slots' time that trainings took. With ``--address``, the workers run
on the nodes of a cluster; one of its nodes needs the resource ``target:local``.
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

from chaos_parts.places import Postgres
from engine_parts.others import optuna_rdb, ray_tune
from noop import WAIT_S, NoData, Widths  # noqa: F401  (the plan names them)

from nas.latency.targets import TargetSpec
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
from trials.plans.pools import measuring_pool
from trials.plans.problem import Problem, open_problem
from trials.store.records import JobResult, MetricValue
from trials.store.store import Store
from trials.store.write.jobs import commit_job, start_job
from trials.store.write.leases import acquire_lease, release_lease
from trials.store.write.proposals import propose
from trials.store.write.studies import create_study
from trials.store.write.targets import add_target

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


def pools_of(actors: int, address: str | None = None) -> list[Pool]:
    measuring = Pool("target:local", 1) if address is None else measuring_pool(TargetSpec("local"), local=False)
    return [Pool("train", actors - 1), measuring]


def throughput(
    executor: str,
    strategy: str,
    trials: int,
    url: str,
    *,
    actors: int = 2,
    waits: bool = False,
    address: str | None = None,
) -> dict[str, Any]:
    """Milliseconds per trial, after the workers have started."""
    problem = problem_of(trials, strategy)
    store = Store(url)
    pools = pools_of(actors, address)
    workers: Executor = EXECUTORS.get(executor)(pools, code=problem.plan.code, address=address)
    jobs = NOTHING | {"train": Function[Any, Any]("noop:wait")} if waits else NOTHING
    try:
        places = [pool.name for pool in pools for _ in range(pool.size)]
        for number, place in enumerate(places):
            workers.submit(Job(f"{number}", "noop:train", {"architecture": {"choices": {"a": 0, "b": 0}}}, place))
        ended = 0
        while ended < len(places):
            ended += sum(event.kind == "done" for event in workers.poll(30))
        coordinator = Coordinator(store, new_study(store, problem), workers, {})
        started, processor = time.perf_counter(), time.process_time()
        with patch.dict(OF_KIND, jobs), patch.object(canary_jobs, "CANARY", Function("noop:canary")):
            coordinator.run()
        wall, used = time.perf_counter() - started, time.process_time() - processor
    finally:
        workers.close()
    return {
        "executor": executor,
        "strategy": strategy,
        "trials": trials,
        "trials_per_s": trials / wall,
        "ms_per_trial": 1e3 * wall / trials,
        "coordinator_ms_per_trial": 1e3 * used / trials,
        "busy": trials * WAIT_S / ((actors - 1) * wall) if waits else None,
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
    workers = First(pools_of(2), code=problem.plan.code)
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


def beside(trials: int, actors: int, url: str) -> list[dict[str, Any]]:
    """Run the trials in other libraries."""
    took_s = {
        "Ray Tune, OptunaSearch": ray_tune(trials, actors),
        "Optuna, RDBStorage": optuna_rdb(trials, actors, url),
    }
    return [
        {
            "executor": name,
            "strategy": "random",
            "trials": trials,
            "trials_per_s": trials / seconds,
            "ms_per_trial": 1e3 * seconds / trials,
            "coordinator_ms_per_trial": None,
            "busy": None,
        }
        for name, seconds in took_s.items()
    ]


def shown(value: Any) -> str:
    return "" if value is None else f"{value:.2f}" if isinstance(value, float) else str(value)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trials", type=int, default=300)
    parser.add_argument("--executors", nargs="+", default=["local", "ray_actors"])
    parser.add_argument("--strategies", nargs="+", default=["random", "nsga2"])
    parser.add_argument("--stored", type=int, nargs="*", default=[])
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--postgresql", action="store_true", help="use a PostgreSQL server instead of SQLite")
    parser.add_argument("--actors", type=int, default=2, help="workers, one of which measures")
    parser.add_argument("--beside", type=int, default=0, help="also run so many trials in other libraries")
    parser.add_argument("--waits", action="store_true", help="each training waits for two seconds")
    parser.add_argument("--address", help="Ray cluster to run on")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        server = Postgres(Path(folder)) if options.postgresql else None

        def url(name: str) -> str:
            return server.new_database(name) if server else f"sqlite:///{folder}/{name}.db"

        given = {"actors": options.actors, "waits": options.waits, "address": options.address}
        rows = [
            throughput(executor, strategy, options.trials, url(f"{executor}_{strategy}"), **given)
            for executor in options.executors
            for strategy in options.strategies
            if options.trials
        ]
        if options.beside:
            rows += beside(options.beside, options.actors, url("optuna"))
        if server is not None:
            server.stop()
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
                table.add_row(*map(shown, row.values()))
            Console().print(table)


if __name__ == "__main__":
    main()
