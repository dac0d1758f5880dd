"""Does a strategy learn to keep a limit? Compares the share of infeasible candidates in each third of a study.

    python benchmarks/feasibility.py --trials 60 --factor 0.8

The latencies are really measured. Trainings last one epoch, because the limit is on latency.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table
from sqlalchemy import select
from sqlalchemy.orm import Session

from trials.launch.studies import search
from trials.plans.plan import make_plan
from trials.store.models import Candidate, Study
from trials.store.store import Store

PARTS = 3


def shares(strategy: str, trials: int, factor: float, seed: int, folder: str) -> dict[str, Any]:
    """The share of infeasible candidates in each third of one study."""
    url = f"sqlite:///{folder}/nas.db"
    name = f"{strategy}-{seed}"
    plan = {
        "name": name,
        "task": {"name": "digits", "image_size": 8},
        "space": {"name": "plain_convnet"},
        "policies": [{"name": "precision"}],
        "limits": {"latency_ms": {"max": {"relative_to": "median", "factor": factor}}},
        "strategy": {"name": strategy},
        "estimator": {"name": "training", "epochs": 1},
        "budget": {"trials": trials},
        "executor": "local",
        "seed": seed,
    }
    search(make_plan(plan), storage=url)
    with Session(Store(url).engine) as session:
        rows = select(Candidate.state).join(Study).where(Study.name == name).order_by(Candidate.number)
        states = list(session.scalars(rows))
    size = len(states) // PARTS
    thirds = [states[index * size : (index + 1) * size] for index in range(PARTS)]
    found = [third.count("infeasible") / len(third) for third in thirds]
    return {"strategy": strategy, "seed": seed, "first": found[0], "second": found[1], "last": found[2]}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trials", type=int, default=60)
    parser.add_argument("--factor", type=float, default=0.8)
    parser.add_argument("--strategies", nargs="+", default=["random", "nsga2", "tpe"])
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=Path.cwd()) as folder:
        rows = [
            shares(strategy, options.trials, options.factor, seed, folder)
            for seed in options.seeds
            for strategy in options.strategies
        ]
    if options.json:
        print(json.dumps(rows))
        return
    table = Table("strategy", "seed", "first third", "second", "last")
    for row in rows:
        table.add_row(row["strategy"], str(row["seed"]), *(f"{row[part]:.0%}" for part in ("first", "second", "last")))
    Console().print(table)


if __name__ == "__main__":
    main()
