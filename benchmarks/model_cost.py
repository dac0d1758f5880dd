"""How many milliseconds of processor time does `pareto_bo` need for a suggestion, without building networks?

    python benchmarks/model_cost.py --table nas_bench_201.parquet --finished 500 2000

Random networks are finished; then the strategy proposes some, whose results it observes. Building is not counted,
because its cost depends on the space: see ``suggestion_cost.py``. The longest suggestion is the first one, in which the
hyper-parameters of all Gaussian processes are fitted from the start.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from pathlib import Path

from rich.console import Console
from rich.table import Table as Rows
from search_parts.problems import GOAL, Evaluated, Problem, Synthetic, Table

from nas.space.chooser import Chooser
from nas.strategies import STRATEGIES, Observation, Strategy, Suggestion
from nas.strategies.random import RandomStrategy


class Timed:
    """Builds networks of a problem, and adds up the processor time."""

    def __init__(self, problem: Problem) -> None:
        self._problem = problem
        self.seconds = 0.0

    def __call__(self, chooser: Chooser) -> Evaluated:
        started = time.process_time()
        found = self._problem.build(chooser)
        self.seconds += time.process_time() - started
        return found


def filled(problem: Problem, num_finished: int) -> Strategy:
    """A strategy that knows the results of random networks."""
    strategy, source = STRATEGIES.get("pareto_bo")(GOAL, 0), RandomStrategy(GOAL, 0)
    for number in range(num_finished):
        suggestion, found = source.propose(problem.build, number)
        strategy.observe([_result(strategy.adopt(suggestion, found), found)])
    return strategy


def cost(problem: Problem, num_finished: int, num_suggestions: int) -> dict[str, float]:
    """Milliseconds of processor time of suggestions, without building."""
    strategy, times = filled(problem, num_finished), []
    for number in range(num_finished, num_finished + num_suggestions):
        build = Timed(problem)
        started = time.process_time()
        suggestion, found = strategy.propose(build, number)
        times.append(1e3 * (time.process_time() - started - build.seconds))
        strategy.observe([_result(suggestion, found)])
    return {"median": statistics.median(times), "longest": max(times)}


def _result(suggestion: Suggestion, found: Evaluated) -> Observation:
    return Observation(suggestion, "complete", {"accuracy": found.accuracy, "latency_ms": found.latency_ms})


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--table", type=Path, help="parquet file of NAS-Bench-201 with latencies")
    parser.add_argument("--finished", type=int, nargs="+", default=[500, 2000])
    parser.add_argument("--suggestions", type=int, default=20)
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    problems: list[Problem] = [Synthetic(0)]
    if arguments.table:
        problems.insert(0, Table(arguments.table, "raspi4", "cifar100_test_accuracy", 60.0))
    found = [
        {"problem": problem.name, "finished": finished, **cost(problem, finished, arguments.suggestions)}
        for problem in problems
        for finished in arguments.finished
    ]
    if arguments.json:
        print(json.dumps(found, indent=2))
        return
    table = Rows(*found[0])
    for row in found:
        table.add_row(*(f"{value:.1f}" if isinstance(value, float) else str(value) for value in row.values()))
    Console().print(table)


if __name__ == "__main__":
    main()
