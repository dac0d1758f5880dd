"""Problems on which strategies are compared: a table of trained networks, and a synthetic space."""

from __future__ import annotations

import itertools
import math
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from nas.space.chooser import Chooser
from nas.strategies import OTHER_TARGET, Goal

Point = tuple[float, float]
GOAL = Goal({"accuracy": "maximize", "latency_ms": "minimize"}, {})


@dataclass(frozen=True)
class Evaluated:
    """A network with its true objectives, and the ``features`` that strategies know before it is trained."""

    key: str
    accuracy: float
    latency_ms: float
    features: Mapping[str, float]


class Problem(ABC):
    """A space whose networks can be evaluated without training.

    Attributes:
        name: the name in tables.
        worst: the lowest accuracy and the highest latency that count for the score.
    """

    name: str
    worst: tuple[float, float]

    @abstractmethod
    def build(self, chooser: Chooser) -> Evaluated:
        """Return the network that the chooser's answers define."""

    def trained(self, network: Evaluated, generator: np.random.Generator) -> float:
        """The accuracy that one training of the network reaches; without noise, this is its true accuracy."""
        return network.accuracy

    @cached_property
    @abstractmethod
    def best_volume(self) -> float:
        """Hypervolume of the best known front."""

    def share(self, networks: list[Evaluated]) -> float:
        """Hypervolume of some networks, as a share of ``best_volume``."""
        return volume([(item.accuracy, item.latency_ms) for item in networks], self.worst) / self.best_volume


def volume(points: list[tuple[float, float]], worst: tuple[float, float]) -> float:
    """Area that (accuracy, latency) points dominate, bounded by ``worst``."""
    total, best = 0.0, worst[0]
    for accuracy, latency in sorted(points, key=lambda point: (point[1], -point[0])):
        if latency < worst[1] and accuracy > best:
            total += (accuracy - best) * (worst[1] - latency)
            best = accuracy
    return total


class Table(Problem):
    """NAS-Bench-201 (Dong and Yang 2020) with the latencies of a device from HW-NAS-Bench (Li et al. 2021).

    Args:
        path: a parquet file with ``architecture``, ``mflops``, ``mparams``, accuracies in percent and latencies.
        device: the device; its latencies are in column ``<device>_latency_ms``.
        accuracy: the column of accuracies.
        floor: the lowest accuracy, in percent, that counts.
        other_devices: devices whose latencies are features, as if earlier studies had measured all networks there.
        trainings: a parquet file with ``architecture`` and ``validation_accuracy`` of single trainings, from
            ``convert_nas_bench_201.py``. If it is given, strategies observe the accuracy of one of these trainings.
    """

    EDGES = ((0, 1), (0, 2), (1, 2), (0, 3), (1, 3), (2, 3))
    OPS = ("none", "skip_connect", "nor_conv_1x1", "nor_conv_3x3", "avg_pool_3x3")

    def __init__(
        self,
        path: Path,
        device: str,
        accuracy: str,
        floor: float,
        other_devices: Sequence[str] = (),
        trainings: Path | None = None,
    ) -> None:
        table = pd.read_parquet(path)
        self.name = f"{accuracy.partition('_')[0]} {device}"
        self._trainings: Mapping[str, Any] | None = None
        if trainings:
            single = pd.read_parquet(trainings).groupby("architecture")["validation_accuracy"]
            self._trainings = single.apply(lambda values: values.to_numpy(float)).to_dict()
        self._rows: dict[tuple[str, ...], Evaluated] = {}
        columns = zip(
            table["architecture"],
            table[accuracy].astype(float),
            table[f"{device}_latency_ms"].astype(float),
            table["mflops"],
            table["mparams"],
            table[[f"{name}_latency_ms" for name in other_devices]].to_numpy(float),
            strict=True,
        )
        for text, score, latency, mflops, mparams, others in columns:
            ops = tuple(part.split("~")[0] for node in text.split("+") for part in node.strip("|").split("|"))
            features = {**_live(ops, self.EDGES), "log MACs": math.log(mflops), "log parameters": math.log(mparams)}
            features |= {
                f"{OTHER_TARGET}{name}": float(value) for name, value in zip(other_devices, others, strict=True)
            }
            self._rows[ops] = Evaluated(text, score, latency, features)
        front = max(self._rows.values(), key=lambda row: (row.accuracy, -row.latency_ms))
        self.worst = (floor, 1.1 * front.latency_ms)

    def build(self, chooser: Chooser) -> Evaluated:
        """See ``Problem.build``."""
        return self._rows[tuple(str(chooser.choose(f"edge{place}", self.OPS)) for place in range(len(self.EDGES)))]

    def trained(self, network: Evaluated, generator: np.random.Generator) -> float:
        """See ``Problem.trained``."""
        if self._trainings is None:
            return network.accuracy
        return float(generator.choice(self._trainings[network.key]))

    @cached_property
    def best_volume(self) -> float:
        """See ``Problem.best_volume``; the front is that of all networks in the table."""
        return volume([(row.accuracy, row.latency_ms) for row in self._rows.values()], self.worst)


def _live(ops: tuple[str, ...], edges: tuple[tuple[int, int], ...]) -> dict[str, float]:
    """Counts of operators, paths and depth of the part of a cell that connects its input to its output."""
    used = [(first, last, op) for (first, last), op in zip(edges, ops, strict=True) if op != "none"]
    paths: dict[int, list[tuple[int, ...]]] = {0: [()]}
    for node in (1, 2, 3):
        paths[node] = [
            (*path, place) for place, (first, last, _) in enumerate(used) if last == node for path in paths[first]
        ]
    live = {place for path in paths[3] for place in path}
    counts = {op: float(sum(used[place][2] == op for place in live)) for op in Table.OPS[1:]}
    convolutions = [sum(used[place][2].startswith("nor") for place in path) for path in paths[3]]
    lengths = [len(path) for path in paths[3]]
    return {
        **counts,
        "paths": float(len(paths[3])),
        "depth": float(max(convolutions, default=0)),
        "length": float(max(lengths, default=0)),
    }


class Synthetic(Problem):
    """A space of 31 questions, 18 of them conditional, whose objectives are formulas; accuracies are noisy.

    A network has three stages of one to three layers, and each layer has a width, a kernel and an operator. Accuracy
    grows with width and depth, and has an optimal kernel that depends on operator and stage. Latency grows with all
    three.

    Args:
        seed: the seed of the formulas' coefficients.
    """

    #: Standard deviation of the accuracies of several trainings of one network.
    NOISE = 0.3
    WIDTHS, KERNELS = (8, 16, 24, 32, 48), (1, 3, 5, 7)
    #: What each kind of downsampling adds to the accuracy, and multiplies the latency with.
    MODES = ((0.0, 0.8), (0.4, 1.0), (0.2, 1.2))

    def __init__(self, seed: int) -> None:
        generator = np.random.default_rng(seed)
        self.name = f"synthetic {seed}"
        self.worst = (0.0, 60.0)
        self._best_kernel = generator.integers(0, 4, size=(3, 3))
        self._op_value = generator.normal(0, 0.5, size=(3, 3))
        self._op_cost = np.exp(generator.normal(0, 0.4, size=3))
        self._width_power = generator.uniform(0.3, 0.7, size=3)

    def build(self, chooser: Chooser) -> Evaluated:
        """See ``Problem.build``."""
        accuracy, latency, answers, macs = 0.0, 1.0, [], 0.0
        modes = ("early", "stride", "pool")
        mode = modes.index(str(chooser.choose("downsampling", modes)))
        for stage in range(3):
            depth = _whole(chooser.choose(f"stage{stage}.depth", (1, 2, 3), ordered=True))
            answers.append(depth)
            for layer in range(3):
                active, name = layer < depth, f"stage{stage}.layer{layer}"
                width = _whole(chooser.choose(f"{name}.width", self.WIDTHS, ordered=True, active=active))
                kernel = _whole(chooser.choose(f"{name}.kernel", self.KERNELS, ordered=True, active=active))
                op = _whole(chooser.choose(f"{name}.op", (0, 1, 2), active=active))
                if active:
                    answers += [width, kernel, op]
                    value, cost = self._layer(stage, width, kernel, op)
                    accuracy, latency, macs = accuracy + value, latency + cost, macs + width * kernel**2
        answers.append(mode)
        value, factor = self.MODES[mode]
        return Evaluated(str(answers), accuracy + value, latency * factor, {"log MACs": math.log(macs)})

    def trained(self, network: Evaluated, generator: np.random.Generator) -> float:
        """See ``Problem.trained``."""
        return network.accuracy + self.NOISE * float(generator.standard_normal())

    @cached_property
    def best_volume(self) -> float:
        """See ``Problem.best_volume``; it is exact, because accuracies and latencies are sums over layers."""
        total = [(0.0, 0.0)]
        for stage in range(3):
            choices = itertools.product(self.WIDTHS, self.KERNELS, range(3))
            layer = _front([self._layer(stage, *choice) for choice in choices])
            layers, stages = [(0.0, 0.0)], []
            for _ in range(3):
                layers = _front(_sums(layers, layer))
                stages += layers
            total = _front(_sums(total, stages))
        points = [
            (accuracy + value, (1.0 + latency) * factor) for accuracy, latency in total for value, factor in self.MODES
        ]
        return volume(points, self.worst)

    def _layer(self, stage: int, width: int, kernel: int, op: int) -> tuple[float, float]:
        """What a layer adds to accuracy and latency."""
        off = abs(self.KERNELS.index(kernel) - int(self._best_kernel[stage, op]))
        accuracy = (width / 48) ** self._width_power[stage] * (1.5 - 0.4 * off) + self._op_value[stage, op]
        return accuracy, width * kernel**2 * self._op_cost[op] / (60 * (stage + 1))


def _sums(first: Sequence[Point], second: Sequence[Point]) -> list[Point]:
    return [(a + b, c + d) for a, c in first for b, d in second]


def _front(points: Sequence[Point]) -> list[Point]:
    """The (accuracy, latency) points that no other point dominates."""
    found: list[Point] = []
    for point in sorted(points, key=lambda point: (point[1], -point[0])):
        if not found or point[0] > found[-1][0]:
            found.append(point)
    return found


def _whole(value: Any) -> int:
    return int(value)
