"""In which runtimes is int8 faster than fp32, for all layers and for every second layer?

Sampled networks with seeded weights are written in fp32, in int8, and with every second layer in int8. The measuring
protocol times every file in every runtime, in turns with the fp32 file in ONNX Runtime. The ratio is to the time of
that file: below 1, the file is faster.

Example: ``python benchmarks/runtimes.py --networks 4 --image-size 64 --json``, or for one known network
``--networks 1 --image-size 128 --space '{name: timm_model, model: mobilenetv2_100}'``
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import tempfile
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from itertools import product
from pathlib import Path
from statistics import geometric_mean
from typing import Any

import yaml

from nas.latency.machine.affinity import measuring_cores, pin
from nas.latency.machine.lock import measuring
from nas.latency.protocol.calibration import calibrate
from nas.latency.protocol.measure import REPORT, Bench, measure
from nas.latency.runtimes import RUNTIMES, Session, SessionOptions
from nas.processor import describe_processor

#: Variant → whether a layer, counted from 0, is in int8.
VARIANTS = {"fp32": lambda layer: False, "int8": lambda layer: True, "alternating": lambda layer: layer % 2 == 0}
RUNTIME_NAMES = ("onnxruntime", "openvino")


def write_files(folder: Path, spec: dict[str, Any], image_size: int, count: int, seed: int) -> list[dict[str, Any]]:
    """Write all variants of ``count`` networks; return one row per network. Imports torch: use a separate process."""
    from networks import Networks

    from nas.export.onnx import OnnxExporter
    from nas.graph.identity import count_macs

    networks = Networks(spec, image_size)
    rows = []
    for index in range(count):
        architecture = networks.sample(seed + index)
        layers = networks.layers(architecture, seed)
        for variant, is_int8 in VARIANTS.items():
            bits = {path: 8 for place, path in enumerate(layers) if is_int8(place)}
            network = networks.build(architecture, seed + index, bits)
            OnnxExporter().export(network, folder / f"{index}-{variant}.onnx", input_shape=networks.shape)
        rows.append({"network": index, "macs": count_macs(network.model, networks.shape), "layers": len(layers)})
    return rows


def ratios(folder: Path, index: int, rounds: int) -> dict[str, Any]:
    """``variant in runtime`` → its time divided by that of the fp32 file in ONNX Runtime, one ratio per round."""
    cores = measuring_cores(None, 1)
    exclusive = partial(measuring, cores)

    def opened(variant: str, runtime: str) -> Session:
        return RUNTIMES.get(runtime)().open(folder / f"{index}-{variant}.onnx", SessionOptions())

    def reference(_: str) -> Session:
        return opened("fp32", "onnxruntime")

    fp32_ms = calibrate(["fp32"], reference, exclusive, "process")["fp32"]
    found: dict[str, Any] = {"fp32_ms": fp32_ms}
    for _ in range(rounds):
        times = {}
        for variant, runtime in product(VARIANTS, RUNTIME_NAMES):
            candidate = partial(opened, variant, runtime)
            bench = Bench(candidate, reference, {"fp32": fp32_ms}, lambda _: fp32_ms, exclusive)
            times[f"{variant} in {runtime}"] = measure(bench, REPORT).latency_ms
        # Divide by the fp32 file as a candidate, because caches differ between the first and second file of a visit.
        first = times["fp32 in onnxruntime"]
        for key, time_ms in times.items():
            found.setdefault(key, []).append(time_ms / first)
    return found


def summary(rows: list[dict[str, Any]]) -> dict[str, float]:
    """Geometric means of the ratios over networks and rounds."""
    keys = [f"{variant} in {runtime}" for variant, runtime in product(VARIANTS, RUNTIME_NAMES)]
    return {key: geometric_mean(ratio for row in rows for ratio in row[key]) for key in keys}


def print_table(rows: list[dict[str, Any]], means: dict[str, float]) -> None:
    """Print a table with the mean of the rounds."""
    print(f"{'network':>8}{'layers':>8}{'MMACs':>8}{'fp32 ms':>10}" + "".join(f"{key:>27}" for key in means))
    for row in rows:
        cells = "".join(f"{geometric_mean(row[key]):>27.2f}" for key in means)
        print(f"{row['network']:>8}{row['layers']:>8}{row['macs'] / 1e6:>8.1f}{row['fp32_ms']:>10.3f}{cells}")
    print(f"{'geometric mean':>34}" + "".join(f"{mean:>27.2f}" for mean in means.values()))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--networks", type=int, default=4)
    parser.add_argument(
        "--space", type=yaml.safe_load, default={"name": "plain_convnet"}, help="as in a plan: '{name: …, …}'"
    )
    parser.add_argument("--image-size", type=int, default=64)
    parser.add_argument("--rounds", type=int, default=2, help="how often everything is measured (default 2)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", action="store_true", help="one JSON object instead of a table")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as writer:
            arguments = (folder, options.space, options.image_size, options.networks, options.seed)
            rows = writer.submit(write_files, *arguments).result()
        pin(measuring_cores(None, 1))
        rows = [row | ratios(folder, row["network"], options.rounds) for row in rows]
    means = summary(rows)
    versions = {name: RUNTIMES.get(name)().version() for name in RUNTIME_NAMES}
    if options.json:
        print(json.dumps({"networks": rows, "summary": means, "versions": versions, **describe_processor()}))
    else:
        print_table(rows, means)


if __name__ == "__main__":
    main()
