"""How much processor time does a whole suggestion of a strategy cost in a study, including building and tracing?

    python benchmarks/suggestion_cost.py examples/digits.yaml examples/joint.yaml examples/large_kernel.yaml
    python benchmarks/suggestion_cost.py examples/joint.yaml --finished 100 500 --strategies random tpe pareto_bo

Random networks of the space of each plan are observed first, with made-up results: latency grows with the number of
MACs, scores with its logarithm, both with noise. Then several suggestions are timed as the coordinator asks for them.
Ratios are relative to random search, which builds and traces one network for each suggestion.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table

from nas.space.chooser import Chooser
from nas.strategies import FEATURES, STRATEGIES, Goal, Observation, Strategy, Suggestion
from trials.coordinator.description import Sampled
from trials.plans.loading import load_plan
from trials.plans.problem import Problem, open_problem

#: Number of suggestions that are timed.
NUM_TIMED = 8


class NoOtherTargets:
    """Stands for earlier studies on other targets when there are none."""

    def features(self, suggestion: Suggestion, features: Mapping[str, float]) -> dict[str, float]:
        return {}


def sample(problem: Problem, chooser: Chooser) -> Sampled:
    network = problem.searched.sample(chooser)
    return Sampled(problem, network, Suggestion.from_chooser(0, chooser), NoOtherTargets())  # type: ignore[arg-type]


def observations(problem: Problem, number: int) -> list[Observation]:
    """Random networks with made-up results."""
    source = STRATEGIES.get("random")(Goal(problem.objectives, {}), 0)
    luck = np.random.default_rng(0)
    found = []
    for index in range(number):
        suggestion, sampled = source.propose(partial(sample, problem), index)
        features = dict(sampled.features)
        observed = Suggestion(index, suggestion.questions, suggestion.answers, {FEATURES: features})
        size = features["MACs"] + 0.2 * luck.standard_normal()
        values = {
            name: float(size if direction == "maximize" else np.exp(size))
            for name, direction in problem.objectives.items()
        }
        found.append(Observation(observed, "complete", values))
    return found


def seconds_of(strategy: Strategy, problem: Problem, first: int) -> list[float]:
    """Processor seconds of several suggestions, each of which is observed as running before the next."""
    found = []
    for number in range(first, first + NUM_TIMED + 1):
        started = time.process_time()
        suggestion, sampled = strategy.propose(partial(sample, problem), number)
        sampled.described()
        found.append(time.process_time() - started)
        strategy.observe([Observation(suggestion, "running")])
    return found[1:]  # the first one includes imports


def rows(path: Path, arguments: argparse.Namespace) -> list[dict[str, Any]]:
    problem = open_problem(load_plan(path, arguments.overrides))
    seen = observations(problem, max(arguments.finished))
    table = []
    for finished in arguments.finished:
        for name in ["random", *(item for item in arguments.strategies if item != "random")]:
            strategy = STRATEGIES.get(name)(Goal(problem.objectives, {}), 0)
            strategy.observe(seen[:finished])
            seconds = seconds_of(strategy, problem, finished)
            table.append(
                {
                    "space": problem.plan.space.name,
                    "policies": [policy.name for policy in problem.plan.policies],
                    "finished": finished,
                    "strategy": name,
                    "median_ms": 1e3 * statistics.median(seconds),
                    "max_ms": 1e3 * max(seconds),
                }
            )
            table[-1]["ratio"] = table[-1]["median_ms"] / next(
                row["median_ms"] for row in table if row["strategy"] == "random" and row["finished"] == finished
            )
    return table


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("plans", nargs="+", help="plans, and key=value as for nas search")
    parser.add_argument("--finished", type=int, nargs="+", default=[50, 500])
    parser.add_argument("--strategies", nargs="+", default=["random", "pareto_bo"])
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    arguments.overrides = [item for item in arguments.plans if "=" in item]
    paths = [Path(item) for item in arguments.plans if "=" not in item]
    found = [row for path in paths for row in rows(path, arguments)]
    if arguments.json:
        print(json.dumps(found))
        return
    table = Table("space", "policies", "finished", "strategy", "median, ms", "longest, ms", "ratio to random")
    for row in found:
        table.add_row(
            row["space"],
            ", ".join(row["policies"]),
            str(row["finished"]),
            row["strategy"],
            f"{row['median_ms']:.0f}",
            f"{row['max_ms']:.0f}",
            f"{row['ratio']:.1f}",
        )
    Console(width=140).print(table)


if __name__ == "__main__":
    main()
