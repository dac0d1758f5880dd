"""How much hypervolume does a search reach with a number of training epochs, with and without successive halving?

    python benchmarks/halving.py --networks 40 --epochs 9 --seeds 3 --out halving

Random networks of ``plain_convnet`` are trained completely on digits. A training that waits at rungs ends with the same
weights as one that does not wait, so halving is simulated with the stored accuracies, for one worker and with the rule
by which studies continue trainings. The objectives are the validation accuracy and the MACs. The score is the
hypervolume of the finished networks, as a share of the hypervolume of all networks of a seed. ``--out`` keeps the
accuracies; a second call reads them.
"""

from __future__ import annotations

import argparse
import json
import math
import statistics
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from rich.console import Console
from rich.table import Table
from scipy.stats import spearmanr

from nas.space.chooser import RandomChooser
from trials.analysis.hypervolume import hypervolume
from trials.coordinator.pipeline import rung_metric
from trials.coordinator.rungs import Rungs
from trials.plans.plan import make_plan
from trials.plans.problem import Problem, open_problem
from trials.store.records import MetricValue

OBJECTIVES = {"accuracy": "maximize", "macs": "minimize"}
WAYS = list(OBJECTIVES.values())
#: Settings of halving that are compared.
SETTINGS = ({"factor": 2, "first_epochs": 1}, {"factor": 3, "first_epochs": 1}, {"factor": 3, "first_epochs": 3})


@dataclass(frozen=True)
class Trained:
    """A network's accuracy after each epoch, and its MACs."""

    accuracies: list[float]
    macs: float

    @property
    def point(self) -> tuple[float, float]:
        """Final accuracy and the logarithm of the MACs, so that large networks do not dominate the hypervolume."""
        return self.accuracies[-1], math.log10(self.macs)


def problem(epochs: int, halving: dict[str, int] | None = None) -> Problem:
    """Return the problem of the study that is simulated: the task digits and the space ``plain_convnet``."""
    estimator = {"name": "training", "epochs": epochs, **({"halving": halving} if halving else {})}
    plan = {"task": {"name": "digits", "image_size": 8}, "space": "plain_convnet", "objectives": OBJECTIVES}
    return open_problem(make_plan({**plan, "estimator": estimator, "strategy": "random", "executor": "local"}))


def trained(networks: int, epochs: int, seed: int, folder: Path | None) -> list[Trained]:
    """Train random networks completely, or read their accuracies from the folder."""
    path = folder / f"{networks}-{epochs}-{seed}.json" if folder else None
    if path and path.exists():
        return [Trained(**item) for item in json.loads(path.read_text())]
    opened, found, known = problem(epochs), list[Trained](), set[str]()
    number = 0
    while len(found) < networks:
        sampled = opened.searched.sample(RandomChooser(1000 * seed + number))
        number += 1
        if (identity := opened.identity(sampled)) in known:
            continue
        known.add(identity)
        network = opened.searched.build(sampled.architecture, seed)
        macs = opened.static_metrics(network)["macs"]
        curve = [item.values["accuracy"] for item in opened.estimator().fit(network, opened.task, seed=seed)]
        found.append(Trained(curve, macs))
    if path:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps([vars(item) for item in found]))
    return found


def complete(pool: Sequence[Trained]) -> Iterator[tuple[int, Trained]]:
    """Yield the epochs spent so far and the network that is then finished, without halving."""
    for number, item in enumerate(pool, 1):
        yield number * len(item.accuracies), item


def halved(pool: Sequence[Trained], opened: Problem) -> Iterator[tuple[int, Trained]]:
    """Yield the epochs spent so far and the network that is then finished, with halving."""
    ends = [*opened.rungs, len(pool[0].accuracies)]
    rungs, paused, spent, started = Rungs(opened), dict[int, int](), 0, 0
    while True:
        number = rungs.promotion(paused, last=started == len(pool))
        if number is None and started == len(pool):
            return
        if number is None:
            number, started = started, started + 1
        before = paused.pop(number, 0)
        end = next(epochs for epochs in ends if epochs > before)
        spent += end - before
        if end == ends[-1]:
            yield spent, pool[number]
            continue
        paused[number] = end
        reached = {rung_metric("accuracy", each): pool[number].accuracies[each - 1] for each in ends if each <= end}
        values = {**reached, "macs": pool[number].macs}
        metrics = {(name, ""): MetricValue(name, "", value) for name, value in values.items()}
        rungs.record(number, "paused", metrics)


@dataclass(frozen=True)
class Course:
    """Shares of the hypervolume of all networks that are reached after numbers of epochs."""

    epochs: list[int]
    shares: list[float]

    def epochs_to(self, share: float) -> int | None:
        """Return the number of epochs until a share is reached; None if it is never reached."""
        return next((spent for spent, found in zip(self.epochs, self.shares, strict=True) if found >= share), None)


def course(finished: Iterator[tuple[int, Trained]], pool: Sequence[Trained]) -> Course:
    """Return which share of the hypervolume of all networks the finished networks reach, after each of them."""
    points = [item.point for item in pool]
    reference = min(point[0] for point in points) - 0.01, max(point[1] for point in points) + 0.01
    whole = hypervolume(points, WAYS, reference)
    seen, found = list[tuple[float, float]](), Course([], [])
    for spent, item in finished:
        seen.append(item.point)
        found.epochs.append(spent)
        found.shares.append(hypervolume(seen, WAYS, reference) / whole)
    return found


def correlation(pool: Sequence[Trained], epochs: int) -> float:
    """Return Spearman's rank correlation between the accuracy after some epochs and the final accuracy."""
    early, last = ([item.accuracies[place] for item in pool] for place in (epochs - 1, -1))
    return float(spearmanr(early, last).statistic)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--networks", type=int, default=40)
    parser.add_argument("--epochs", type=int, default=9)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--out", type=Path)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    pools = [trained(arguments.networks, arguments.epochs, seed, arguments.out) for seed in range(arguments.seeds)]
    table = Table("halving", "finished", "epochs", "share of hypervolume", "epochs without halving", "ratio of epochs")
    for setting in SETTINGS:
        opened = problem(arguments.epochs, setting)
        found = [course(halved(pool, opened), pool) for pool in pools]
        full = [course(complete(pool), pool) for pool in pools]
        needed = [other.epochs_to(own.shares[-1]) for own, other in zip(found, full, strict=True)]
        ratios = [own.epochs[-1] / spent for own, spent in zip(found, needed, strict=True) if spent]
        table.add_row(
            f"factor {setting['factor']}, rungs {', '.join(map(str, opened.rungs))}",
            text([len(own.shares) for own in found]),
            text([own.epochs[-1] for own in found]),
            text([own.shares[-1] for own in found]),
            text([spent for spent in needed if spent]),
            text(ratios),
        )
    Console(width=150).print(table)
    rungs = [epochs for epochs in (1, 2, 3, 4) if epochs < arguments.epochs]
    for epochs in rungs:
        values = [correlation(pool, epochs) for pool in pools]
        print(f"rank correlation of epoch {epochs} with the last: {text(values)}")


def text(values: Sequence[float]) -> str:
    """Return the mean and the range of some values as text."""
    mean = statistics.fmean(values) if values else math.nan
    low, high = (float(limit(values)) if values else math.nan for limit in (np.min, np.max))
    return f"{mean:.3g} ({low:.3g} to {high:.3g})"


if __name__ == "__main__":
    main()
