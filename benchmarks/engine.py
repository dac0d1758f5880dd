"""How much time does the engine cost per trial? Jobs do nothing, so that only the engine's own steps take time.

    python benchmarks/engine.py --trials 500
    python benchmarks/engine.py --stored 0 100000     # also in a study that has 100,000 trials
    python benchmarks/engine.py --postgresql --actors 4 --executors ray_actors --beside 200
    python benchmarks/engine.py --waits --trials 200 --executors ray_actors --address 127.0.0.1:6379

The ratio is to the first row: by default the executor ``local`` with the strategy ``random``. ``coordinator_ms``,
``space_ms`` and ``sampler_ms`` are processor time of the coordinator's process per trial: ``space_ms`` builds, traces
and describes networks, ``sampler_ms`` asks and tells the strategy, ``coordinator_ms`` is all the rest. ``restart_s`` is
the time until the first round has ended. With ``--postgresql``, a server is started for the run. With ``--beside N``, N
equal trials also run in Ray Tune with OptunaSearch, and in Optuna with its own database on that server, in as many
processes as there are actors. With ``--waits``, each training waits for two seconds, and ``busy`` is the share of their
slots' time that trainings took. With ``--address``, the workers run on the nodes of a cluster; one of its nodes needs
the resource ``target:local``.
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
from engine_parts.filling import fill
from engine_parts.others import optuna_rdb, ray_tune
from engine_parts.stopwatch import watches
from noop import WAIT_S, NoData, Widths  # noqa: F401  (the plan names them)

from nas.latency.targets import TargetSpec
from trials.coordinator import canary_jobs
from trials.coordinator.assignment import Assignment
from trials.coordinator.coordinator import Coordinator
from trials.executors import EXECUTORS, Executor, Job, Pool
from trials.jobs.environment import owner
from trials.jobs.messages import OF_KIND, Function
from trials.plans.plan import make_plan
from trials.plans.pools import measuring_pool
from trials.plans.problem import Problem, open_problem
from trials.store.read.rows import study_row
from trials.store.store import Store
from trials.store.write.leases import acquire_lease
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


def new_study(url: str, stored: int, strategy: str) -> None:
    """Create a study with ``stored`` finished trials."""
    store, problem = Store(url), problem_of(max(stored, 1), strategy)
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
    fill(store, problem, study_id, stored)
    store.close()


def assignment(store: Store, problem: Problem) -> Assignment:
    lease = store.write(acquire_lease, store.read(study_row, "study").id, owner(), 600)
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
    stored: int,
) -> dict[str, Any]:
    """Milliseconds per trial, after the workers have started, in a study that has ``stored`` trials."""
    problem = problem_of(stored + trials, strategy)
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
        begun, started = Begun(), time.perf_counter()
        coordinator = Coordinator(store, assignment(store, problem), workers, {}, begun)
        with (
            patch.dict(OF_KIND, jobs),
            patch.object(canary_jobs, "CANARY", Function("noop:canary")),
            watches() as (space, strategy_and_space),
        ):
            coordinator.run()
        wall, used = time.perf_counter() - begun.at, time.process_time() - begun.processor
    finally:
        workers.close()
    return {
        "executor": executor,
        "strategy": strategy,
        "trials": trials,
        "trials_per_s": trials / wall,
        "ms_per_trial": 1e3 * wall / trials,
        **{
            f"{name}_ms": 1e3 * seconds / trials
            for name, seconds in {
                "coordinator": used - strategy_and_space.spent_s,
                "space": space.spent_s,
                "sampler": strategy_and_space.spent_s - space.spent_s,
            }.items()
        },
        "stored": stored,
        "restart_s": begun.at - started,
        "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
        "busy": trials * WAIT_S / ((actors - 1) * wall) if waits else None,
    }


class Begun:
    """Notes when the first round of a coordinator has ended: before it, the coordinator reads what is stored."""

    def __init__(self) -> None:
        self.at = self.processor = 0.0

    def __call__(self, coordinator: Coordinator) -> None:
        if not self.at:
            self.at, self.processor = time.perf_counter(), time.process_time()


def alone(executor: str, strategy: str, trials: int, url: str, *, stored: int, **options: Any) -> dict[str, Any]:
    """``throughput`` of a new study, in a process of its own, so that its memory is that of one coordinator."""
    new_study(url, stored, strategy)
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as fresh:
        return fresh.submit(throughput, executor, strategy, trials, url, stored=stored, **options).result()


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
            **dict.fromkeys(("coordinator_ms", "space_ms", "sampler_ms", "stored", "restart_s", "peak_mb", "busy")),
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
    parser.add_argument("--stored", type=int, nargs="+", default=[0], help="trials that are finished before")
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
            alone(executor, strategy, options.trials, url(f"{executor}_{strategy}_{stored}"), stored=stored, **given)
            for stored in options.stored
            for executor in options.executors
            for strategy in options.strategies
        ]
        if options.beside:
            rows += beside(options.beside, options.actors, url("optuna"))
        if server is not None:
            server.stop()
    for row in rows:
        row["ratio"] = row["ms_per_trial"] / rows[0]["ms_per_trial"]
    if options.json:
        print(json.dumps(rows))
        return
    table = Table(*rows[0])
    for row in rows:
        table.add_row(*map(shown, row.values()))
    Console(width=160).print(table)


if __name__ == "__main__":
    main()
