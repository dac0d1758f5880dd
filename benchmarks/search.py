"""How much of the best front do strategies find, after how many trained networks?

    python benchmarks/search.py --table nas_bench_201.parquet --seeds 10 --out search
    python benchmarks/search.py --synthetic --seeds 5 --strategies random tpe pareto_bo

Strategies propose one network at a time and observe its results, as in a study. The score is the hypervolume of the
networks found so far, as a share of the best known hypervolume; a network that is proposed again does not count again.
With ``--table``, the problems are devices of NAS-Bench-201; ``--other-targets`` gives strategies the latencies on the
other devices. With ``--synthetic``, the problems are spaces of 31 questions whose accuracies are noisy; the score uses
accuracies without noise. Parameters of a strategy follow its name, as in ``pareto_bo,shortlist=400``; the short list
can be long here, because features of networks cost nothing. With the parameter ``measured=4``, four networks are
measured for each trained one, and the strategy chooses the one to train. With ``--warm-from``, each search is repeated
from the results of a search on another device, and from the same results with negated and with shuffled accuracies.
``--out`` writes a page with curves of mean and standard deviation, and all scores as CSV.
"""

from __future__ import annotations

import argparse
import csv
import itertools
import json
import statistics
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import plotly.graph_objects as go
import yaml
from rich.console import Console
from rich.table import Table as Rows
from search_parts.problems import GOAL, Evaluated, Problem, Synthetic, Table

from nas.strategies import STRATEGIES, EarlierStudy, Observation, Suggestion

#: Largest number of suggestions for each network to train, because strategies may repeat networks.
MAX_SUGGESTIONS = 20
#: How many networks are trained before several are measured for each trained one.
STARTUP = 10
#: Added to the seed of a run to get the seed of the earlier study that it starts from.
OTHER_SEED = 1000
COLOURS = ("#2f80c2", "#d55e00", "#009e73", "#8a8f98", "#cc79a7", "#e69f00")


@dataclass(frozen=True)
class Run:
    """One strategy on one problem with one seed: scores after each trained network, and seconds of each suggestion."""

    strategy: str
    problem: str
    seed: int
    shares: list[float]
    suggestion_s: list[float]
    results: list[Observation]


def run(strategy: str, problem: Problem, seed: int, num_trained: int, source: EarlierStudy | None = None) -> Run:
    """Search until ``num_trained`` different networks are evaluated."""
    name, *settings = strategy.split(",")
    parameters = {key: yaml.safe_load(value) for key, _, value in (item.partition("=") for item in settings)}
    measured_per_trained = parameters.pop("measured", 1)
    searcher = STRATEGIES.get(name)(GOAL, seed, **parameters)
    if source:
        searcher.start_from([source])
    luck = np.random.default_rng(seed)
    trained: dict[str, Evaluated] = {}
    told: dict[str, float] = {}
    measured: dict[int, tuple[Suggestion, Evaluated]] = {}
    shares, times, results, number = [], [], [], 0
    while len(shares) < num_trained and number < MAX_SUGGESTIONS * num_trained * measured_per_trained:
        started = time.process_time()
        suggestion, found = searcher.propose(problem.build, number)
        times.append(time.process_time() - started)
        number += 1
        if measured_per_trained > 1:
            searcher.observe([Observation(suggestion, "measured_only", {"latency_ms": found.latency_ms})])
            measured[suggestion.number] = suggestion, found
            if number > STARTUP and (number - STARTUP) % measured_per_trained:
                continue
            started = time.process_time()
            suggestion, found = measured.pop(searcher.choose(list(measured), number))
            times.append(time.process_time() - started)
        if found.key not in trained:
            trained[found.key] = found
            told[found.key] = found.accuracy + problem.noise * float(luck.standard_normal())
            shares.append(problem.share(list(trained.values())))
        values = {"accuracy": told[found.key], "latency_ms": found.latency_ms}
        results.append(Observation(suggestion, "complete", values))
        searcher.observe(results[-1:])
    return Run(f"{strategy} {source.name}" if source else strategy, problem.name, seed, shares, times, results)


def sources(strategy: str, problem: Problem, seed: int, arguments: argparse.Namespace) -> Iterator[EarlierStudy]:
    """Yield the results of the same strategy on another problem as earlier studies, with true and wrong accuracies."""
    results = run(strategy, problem, seed + OTHER_SEED, arguments.warm_trained).results
    accuracies = np.array([item.values["accuracy"] for item in results])
    told = {
        "warm": accuracies,
        "negated": 100 - accuracies,
        "shuffled": np.random.default_rng(seed).permutation(accuracies),
    }
    for name in arguments.sources:
        wrong = zip(results, told[name], strict=True)
        yield EarlierStudy(
            name, tuple(replace(item, values={**item.values, "accuracy": float(value)}) for item, value in wrong)
        )


def runs(arguments: argparse.Namespace, chosen: Sequence[Problem]) -> Iterator[Run]:
    """Yield a run per strategy, problem and seed; with ``--warm-from``, also runs that start from earlier studies."""
    earlier = None
    if arguments.warm_from:
        earlier = Table(arguments.table, arguments.warm_from, arguments.warm_accuracy, arguments.floor)
    for seed in range(arguments.seeds):
        for strategy in arguments.strategies:
            known = list(sources(strategy, earlier, seed, arguments)) if earlier else []
            for problem, source in itertools.product(chosen, [None, *known]):
                yield run(strategy, problem, seed, max(arguments.marks), source)


def problems(arguments: argparse.Namespace) -> Iterator[Problem]:
    """The problems that the options select."""
    for device in arguments.devices if arguments.table else ():
        others = [name for name in arguments.devices if name != device] if arguments.other_targets else []
        yield Table(arguments.table, device, arguments.accuracy, arguments.floor, others)
    for seed in range(3) if arguments.synthetic else ():
        yield Synthetic(seed)


def rows(runs: Sequence[Run], marks: Sequence[int]) -> list[dict[str, Any]]:
    """One row for each strategy: mean and standard deviation of its scores over problems and seeds."""
    found = []
    for strategy in dict.fromkeys(item.strategy for item in runs):
        own = [item for item in runs if item.strategy == strategy]
        row: dict[str, Any] = {"strategy": strategy, "runs": len(own)}
        for mark in marks:
            shares = [item.shares[mark - 1] for item in own if len(item.shares) >= mark]
            if shares:
                row[str(mark)] = [statistics.fmean(shares), statistics.stdev(shares) if len(shares) > 1 else 0.0]
        for target in (0.9, 0.95):
            needed = [next((n + 1 for n, share in enumerate(item.shares) if share >= target), None) for item in own]
            reached = sorted(n for n in needed if n is not None)
            enough = len(reached) > len(own) / 2
            row[f"median to {target}"] = reached[len(own) // 2] if enough else None
        row["ms per suggestion"] = 1e3 * statistics.median(second for item in own for second in item.suggestion_s)
        found.append(row)
    return found


def write(runs: Sequence[Run], folder: Path) -> None:
    """Write all scores to ``scores.csv``, and curves of their mean and standard deviation to ``curves.html``."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "scores.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["strategy", "problem", "seed", "trained", "share"])
        for item in runs:
            writer.writerows([item.strategy, item.problem, item.seed, n + 1, s] for n, s in enumerate(item.shares))
    figure = go.Figure()
    for place, strategy in enumerate(dict.fromkeys(item.strategy for item in runs)):
        own = [item.shares for item in runs if item.strategy == strategy]
        table = np.array([shares[: min(map(len, own))] for shares in own])
        mean, spread, trained = table.mean(axis=0), table.std(axis=0), np.arange(1, table.shape[1] + 1)
        colour = COLOURS[place % len(COLOURS)]
        band = np.concatenate([mean + spread, (mean - spread)[::-1]])
        figure.add_scatter(x=trained, y=mean, name=strategy, line={"color": colour, "width": 2})
        figure.add_scatter(
            x=np.concatenate([trained, trained[::-1]]),
            y=band,
            fill="toself",
            fillcolor=colour,
            opacity=0.15,
            line={"width": 0},
            showlegend=False,
            hoverinfo="skip",
        )
    figure.update_xaxes(title="trained networks", type="log")
    figure.update_yaxes(title="share of the best hypervolume")
    figure.write_html(folder / "curves.html")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--table", type=Path, help="parquet file of NAS-Bench-201 with latencies")
    parser.add_argument("--devices", nargs="+", default=["raspi4", "edgegpu", "pixel3"])
    parser.add_argument("--accuracy", default="cifar100_test_accuracy", help="column of accuracies")
    parser.add_argument("--floor", type=float, default=60.0, help="accuracy in percent below which nothing counts")
    parser.add_argument(
        "--other-targets", action="store_true", help="give strategies the latencies on the other devices"
    )
    parser.add_argument("--synthetic", action="store_true")
    baselines = ["random", "nsga2", "tpe", "regularized_evolution", "pareto_local_search", "parego"]
    parser.add_argument("--strategies", nargs="+", default=[*baselines, "pareto_bo,shortlist=400"])
    parser.add_argument("--marks", type=int, nargs="+", default=[50, 100])
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--warm-from", help="device of an earlier study to start from, such as eyeriss")
    parser.add_argument("--warm-trained", type=int, default=100, help="networks that the earlier study trained")
    parser.add_argument(
        "--warm-accuracy", default="cifar100_test_accuracy", help="column of accuracies for the earlier study"
    )
    parser.add_argument("--sources", nargs="+", default=["warm", "negated", "shuffled"], help="kinds of accuracies")
    parser.add_argument("--out", type=Path)
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    if arguments.warm_from and not arguments.table:
        parser.error("--warm-from needs the table with latencies of its device: give --table FILE")
    chosen = list(problems(arguments))
    if not chosen:
        parser.error("no problems: give --table FILE, --synthetic, or both")
    finished = list(runs(arguments, chosen))
    if arguments.out:
        write(finished, arguments.out)
    found = rows(finished, arguments.marks)
    if arguments.json:
        print(json.dumps(found, indent=2))
        return
    table = Rows(*found[0])
    for row in found:
        table.add_row(*(_text(value) for value in row.values()))
    Console(width=160).print(table)


def _text(value: Any) -> str:
    if isinstance(value, list):
        return f"{value[0]:.3f} ± {value[1]:.3f}"
    return f"{value:.1f}" if isinstance(value, float) else "—" if value is None else str(value)


if __name__ == "__main__":
    main()
