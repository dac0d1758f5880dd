"""How much faster are sparse networks with the native kernels than dense networks in the faster runtime?

    python benchmarks/sparse_networks.py --runs 3

The networks have seeded weights and 224×224 inputs: MobileNetV1 and a sampled ``sparse_convnet``, whose 1×1
convolutions have 80 or 90 % zeros, single or in 4×1 blocks, and a ``large_kernel`` network with 13×13 kernels, which
stays dense. The measuring protocol times each file in ``openvino_kernels``, and the dense file in ONNX Runtime and
OpenVINO, on one thread and in turns with the dense file in ONNX Runtime. The ratio is the time of the faster dense file
divided by that of the kernels: above 1, the kernels are faster.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import tempfile
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path
from statistics import fmean
from typing import Any

from nas.latency.machine.affinity import measuring_cores, pin
from nas.latency.machine.lock import measuring
from nas.latency.protocol.calibration import calibrate
from nas.latency.protocol.measure import REPORT, Bench, measure
from nas.latency.runtimes import RUNTIMES, Session, SessionOptions
from nas.processor import describe_processor

DENSE = "dense"
#: Variant → pattern and kept fraction of the 1×1 convolutions.
SPARSE = {
    "80 %": ("unstructured", 0.2),
    "90 %": ("unstructured", 0.1),
    "80 % 4×1": ("block_4x1", 0.2),
    "90 % 4×1": ("block_4x1", 0.1),
}
SPACES = {
    "mobilenet_v1": {"name": "timm_model", "model": "mobilenetv1_100"},
    "sparse_convnet": {"name": "sparse_convnet", "preset": "mobile"},
    "large_kernel": {"name": "large_kernel", "preset": "paper", "kernels": [13], "mixers": ["depthwise"]},
}
#: Spaces whose networks are timed only dense.
UNPRUNED = frozenset({"large_kernel"})
RUNTIME, DENSE_RUNTIMES = "openvino_kernels", ("onnxruntime", "openvino")

Row = dict[str, Any]


def write_files(folder: Path, space: str, image_size: int, seed: int) -> list[str]:
    """Write a network's variants; return their names, the dense one first. Imports torch: use a separate process."""
    from networks import Networks

    from nas.export.onnx import OnnxExporter
    from nas.sparsity import PATTERNS

    networks = Networks(SPACES[space], image_size)
    architecture = networks.sample(seed)
    variants = {DENSE: None, **({} if space in UNPRUNED else SPARSE)}
    for variant, choice in variants.items():
        network = networks.build(architecture, seed)
        if choice is not None:
            prune(network.model, PATTERNS.get(choice[0]), choice[1])
        OnnxExporter().export(network, folder / f"{variant}.onnx", input_shape=networks.shape)
    return list(variants)


def prune(model: Any, pattern: Any, kept: float) -> None:
    """Zero the smallest weights of every 1×1 convolution."""
    import torch
    from torch import nn

    with torch.no_grad():
        for module in model.modules():
            if isinstance(module, nn.Conv2d) and module.kernel_size == (1, 1) and module.groups == 1:
                module.weight *= pattern.mask(module.weight.abs(), kept)


def times_ms(folder: Path, variants: list[str], runs: int) -> Row:
    """``variant in runtime`` → milliseconds of each run."""
    cores = measuring_cores(None, 1)
    exclusive = partial(measuring, cores)

    def opened(variant: str, runtime: str) -> Session:
        return RUNTIMES.get(runtime)().open(folder / f"{variant}.onnx", SessionOptions())

    def reference(_: str) -> Session:
        return opened(DENSE, DENSE_RUNTIMES[0])

    reference_ms = calibrate([DENSE], reference, exclusive, "process")[DENSE]
    cases = [(DENSE, runtime) for runtime in DENSE_RUNTIMES] + [(variant, RUNTIME) for variant in variants]
    found: dict[str, list[float]] = {f"{variant} in {runtime}": [] for variant, runtime in cases}
    for _ in range(runs):
        for variant, runtime in cases:
            bench = Bench(
                partial(opened, variant, runtime), reference, {DENSE: reference_ms}, lambda _: reference_ms, exclusive
            )
            found[f"{variant} in {runtime}"].append(measure(bench, REPORT).latency_ms)
    return found


def ratios(times: Row, variants: list[str]) -> dict[str, list[float]]:
    """Variant → the time of the faster dense file divided by its own, for each run."""
    best = [min(pair) for pair in zip(*(times[f"{DENSE} in {runtime}"] for runtime in DENSE_RUNTIMES), strict=True)]
    return {
        variant: [dense / own for dense, own in zip(best, times[f"{variant} in {RUNTIME}"], strict=True)]
        for variant in variants
    }


def print_table(rows: list[Row]) -> None:
    """Print rows with the mean and range of the runs."""
    print(f"{'network':>18}{'variant':>12}{'dense ms: ORT':>15}{'OpenVINO':>10}{'kernels':>9}{'ratio':>8}  range")
    for row in rows:
        times = row["times_ms"]
        dense = [fmean(times[f"{DENSE} in {runtime}"]) for runtime in DENSE_RUNTIMES]
        for variant, found in row["ratios"].items():
            own = fmean(times[f"{variant} in {RUNTIME}"])
            print(
                f"{row['network']:>18}{variant:>12}{dense[0]:>15.3f}{dense[1]:>10.3f}{own:>9.3f}{fmean(found):>8.2f}"
                f"  {min(found):.2f} – {max(found):.2f}"
            )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--networks", nargs="+", choices=list(SPACES), default=list(SPACES))
    parser.add_argument("--seeds", nargs="+", type=int, default=[0], help="seeds of the sampled networks (default 0)")
    parser.add_argument("--image-size", type=int, default=224)
    parser.add_argument("--runs", type=int, default=3, help="how often everything is measured (default 3)")
    parser.add_argument("--json", action="store_true", help="one JSON object instead of a table")
    options = parser.parse_args()
    pin(measuring_cores(None, 1))
    rows = []
    for space in options.networks:
        for seed in options.seeds if SPACES[space]["name"] != "timm_model" else [0]:
            with tempfile.TemporaryDirectory() as name:
                folder = Path(name)
                with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as writer:
                    variants = writer.submit(write_files, folder, space, options.image_size, seed).result()
                times = times_ms(folder, variants, options.runs)
            rows.append({"network": f"{space} {seed}", "times_ms": times, "ratios": ratios(times, variants)})
            if not options.json:
                print_table(rows[-1:])
    if options.json:
        versions = {name: RUNTIMES.get(name)().version() for name in (*DENSE_RUNTIMES, RUNTIME)}
        print(json.dumps({"networks": rows, "versions": versions, **describe_processor()}))


if __name__ == "__main__":
    main()
