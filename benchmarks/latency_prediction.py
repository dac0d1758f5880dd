"""How well is the latency of a network predicted from few measurements, with and without other targets?

    python benchmarks/latency_prediction.py nas_bench_201.parquet
    python benchmarks/latency_prediction.py nas_bench_201.parquet --measured 10 --seeds 20 --json

For each device of NAS-Bench-201, the predictor of the strategy `pareto_bo` learns from randomly chosen networks and
predicts other ones. The columns are Spearman's rank correlation, mean and standard deviation over the seeds:

- alone: from the measurements on the device only;
- known elsewhere: the latencies of every network on the other devices are known, too;
- predicted elsewhere: 200 other networks were measured on each of the other devices, and the latencies of all others
  there are predicted;
- unrelated: as in "known elsewhere", but the latencies of the other devices are those of random networks.

The last columns show, for "alone" and "known elsewhere", the share of the held-out latencies that are below the
predicted 95 % interval: a filter would wrongly reject these networks. For an exact interval, the share is 2.5 %.
"""

from __future__ import annotations

import argparse
import json
import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from rich.console import Console
from rich.table import Table as Rows
from scipy.stats import spearmanr
from search_parts.problems import Table

from nas.space.chooser import FixedVectorChooser, PositionChooser
from nas.strategies import FEATURES, OTHER_TARGET, Suggestion
from nas.strategies.pareto_bo.codes import Coder
from nas.strategies.pareto_bo.latency_predictor import LatencyPredictor, MeasuredNetwork

Floats = npt.NDArray[np.float64]
Features = Sequence[Mapping[str, float]]
#: Networks that are predicted, and networks that are measured on other devices, for each seed.
HELD_OUT, OTHERS_MEASURED = 2000, 200


class Networks:
    """All networks of the table: their suggestions, features, and latencies on each device in ms."""

    def __init__(self, path: Path, devices: Sequence[str]) -> None:
        tables = {device: Table(path, device, "cifar100_test_accuracy", 60.0) for device in devices}
        first = tables[devices[0]]
        chooser = PositionChooser(0.0)
        first.build(chooser)
        self.questions = tuple(chooser.questions.values())
        coder = Coder(self.questions)
        every = [coder.answers(places) for places in np.ndindex(*coder.sizes)]
        built = {
            device: [table.build(FixedVectorChooser(answers)) for answers in every] for device, table in tables.items()
        }
        self.answers = every
        self.features = [network.features for network in built[devices[0]]]
        self.latencies = {device: np.array([item.latency_ms for item in found]) for device, found in built.items()}

    def suggestion(self, place: int, features: Mapping[str, float]) -> Suggestion:
        """A suggestion of one network, with its features."""
        return Suggestion(place, self.questions, self.answers[place], {FEATURES: features})

    def predictor(self, device: str, places: Sequence[int], features: Features) -> LatencyPredictor:
        """The predictor of a device's latency, learned from the networks in ``places``."""
        latency = self.latencies[device]
        return LatencyPredictor(
            [MeasuredNetwork(self.suggestion(place, features[place]), float(latency[place])) for place in places]
        )

    def predicted(self, predictor: LatencyPredictor, places: Sequence[int], features: Features) -> Floats:
        """Predictions ``(n, 3)`` of the networks in ``places``."""
        chosen = [features[place] for place in places]
        return predictor.predict([self.suggestion(place, features[place]) for place in places], chosen)


def extended(features: Features, places: Sequence[int], elsewhere: Mapping[str, Floats]) -> list[dict[str, float]]:
    """Features with latencies on other devices, for the networks in ``places``."""
    found: list[dict[str, float]] = [dict(item) for item in features]
    for row, place in enumerate(places):
        found[place] |= {f"{OTHER_TARGET}{device}": float(values[row]) for device, values in elsewhere.items()}
    return found


def one_run(networks: Networks, device: str, num_measured: int, seed: int) -> dict[str, float]:
    """The rank correlations of one seed."""
    generator = np.random.default_rng(seed)
    order = generator.permutation(len(networks.answers))
    known, held_out, elsewhere = np.split(
        order[: num_measured + HELD_OUT + OTHERS_MEASURED], [num_measured, num_measured + HELD_OUT]
    )
    both = [int(place) for place in (*known, *held_out)]
    others = [name for name in networks.latencies if name != device]
    sources = {name: networks.predictor(name, elsewhere, networks.features) for name in others}
    variants = {
        "alone": {},
        "known elsewhere": {name: networks.latencies[name][both] for name in others},
        "predicted elsewhere": {
            name: networks.predicted(source, both, networks.features)[:, 0] for name, source in sources.items()
        },
        "unrelated": {name: generator.permutation(networks.latencies[name])[: len(both)] for name in others},
    }
    true, found = networks.latencies[device][held_out], {}
    for variant, latencies in variants.items():
        features = extended(networks.features, both, latencies)
        predicted = networks.predicted(networks.predictor(device, known, features), held_out, features)
        found[variant] = float(spearmanr(predicted[:, 0], true).statistic)
        if variant in ("alone", "known elsewhere"):
            found[f"below, {variant}"] = float((true < predicted[:, 1]).mean())
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("table", type=Path, help="parquet file of NAS-Bench-201 with latencies")
    parser.add_argument("--devices", nargs="+", default=["raspi4", "edgegpu", "pixel3"])
    parser.add_argument("--measured", type=int, nargs="+", default=[10, 20, 50, 100, 300])
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    if len(arguments.devices) < 2:
        parser.error("name at least two devices: each is predicted with the help of the others")
    networks = Networks(arguments.table, arguments.devices)
    rows: list[dict[str, Any]] = []
    for device in arguments.devices:
        for num_measured in arguments.measured:
            runs = [one_run(networks, device, num_measured, seed) for seed in range(arguments.seeds)]
            columns = {name: [run[name] for run in runs] for name in runs[0]}
            summary = {name: [statistics.fmean(values), statistics.pstdev(values)] for name, values in columns.items()}
            rows.append({"device": device, "measured": num_measured, **summary})
    if arguments.json:
        print(json.dumps(rows, indent=2))
        return
    table = Rows(*rows[0])
    for row in rows:
        table.add_row(*(f"{x[0]:.3f} ± {x[1]:.3f}" if isinstance(x, list) else str(x) for x in row.values()))
    Console(width=160).print(table)


if __name__ == "__main__":
    main()
