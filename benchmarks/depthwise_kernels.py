"""Are the depthwise kernels faster than the runtimes' own, with large kernels and with small ones?

For each shape, one layer with bias and ReLU is timed in ONNX Runtime, in OpenVINO, and in OpenVINO with the native
kernel. The three take turns on one thread, and the shortest processor time of a run counts. The ratio is the time of
the faster runtime divided by the time of the kernel: above 1, the kernel is faster. For a single layer, the runtimes
also convert layouts, which they rarely need within a network. The layer ratio therefore counts only the share of their
time that their profilers attribute to the convolution.

Example: ``python benchmarks/depthwise_kernels.py --runs 3 --kernels 3 5 --strides 2 --json``
"""

from __future__ import annotations

import argparse
import json
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import geometric_mean
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from nas.kernels.build import library
from nas.kernels.library import Library
from nas.latency.machine.affinity import measuring_cores, pin
from nas.latency.machine.lock import measuring
from nas.latency.runtimes import RUNTIMES, Session, SessionOptions
from nas.latency.runtimes.openvino.choice_cache import ChoiceCache
from nas.latency.runtimes.openvino.fastest import fastest
from nas.latency.runtimes.openvino.graph_pass import kernel_layers, prepare
from nas.latency.runtimes.openvino.quiet import openvino
from nas.latency.runtimes.openvino.replacement import replace
from nas.latency.runtimes.openvino.session import open_session, read, settings_of
from nas.processor import describe_processor

RUNTIME_NAMES = ("onnxruntime", "openvino")
#: Largest difference from OpenVINO's outputs, relative to the largest output.
TOLERANCE = 1e-5


@dataclass(frozen=True)
class Shape:
    """A depthwise layer with a square image and kernel, padded by half of the kernel."""

    channels: int
    size: int
    kernel: int
    stride: int = 1

    @property
    def macs(self) -> int:
        """Number of MACs of one run, including multiplications with padding."""
        return self.channels * (-(-self.size // self.stride)) ** 2 * self.kernel**2


TABLES = {
    "large kernels": [Shape(c, size, k) for c, size in ((384, 14), (192, 28), (64, 56)) for k in (7, 13, 21)],
    "small kernels": [
        Shape(c, size, k, stride)
        for k in (3, 5)
        for stride in (1, 2)
        for c, size in ((64, 112), (144, 56), (240, 28), (480, 14), (960, 7))
    ],
}


def write(path: Path, shape: Shape, seed: int) -> None:
    """Write an ONNX file of the layer."""
    rng = np.random.default_rng(seed)
    weight = rng.normal(size=(shape.channels, 1, shape.kernel, shape.kernel)).astype(np.float32)
    arrays = {"weight": weight, "bias": rng.normal(size=shape.channels).astype(np.float32)}
    sides, pads = [shape.kernel] * 2, [shape.kernel // 2] * 4
    nodes = [
        helper.make_node(
            "Conv", ["x", *arrays], ["sum"], "layer",
            group=shape.channels, kernel_shape=sides, pads=pads, strides=[shape.stride] * 2,
        ),
        helper.make_node("Relu", ["sum"], ["y"]),
    ]  # fmt: skip
    dims = [1, shape.channels, shape.size, shape.size]
    x, y = (helper.make_tensor_value_info(name, TensorProto.FLOAT, at) for name, at in (("x", dims), ("y", None)))
    graph = helper.make_graph(
        nodes, "layer", [x], [y], [numpy_helper.from_array(a, name) for name, a in arrays.items()]
    )
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9), path)


def open_kernels(path: Path) -> Session:
    """Open the file in OpenVINO with the native kernel."""
    core = openvino.Core()
    core.add_extension(library())

    def load() -> tuple[openvino.CompiledModel, list[np.ndarray]]:
        model, fixed = read(core, path, 1)
        prepare(model)
        cache = ChoiceCache(library().parent / "layers.json")
        settings = {item.name: fastest(item, Library(library()), cache).setting for item in kernel_layers(model)}
        replace(model, settings, library())
        return core.compile_model(model, "CPU", settings_of(SessionOptions())), fixed

    return open_session(path, load)


@contextmanager
def sessions(path: Path) -> Iterator[dict[str, Session]]:
    """Open the file in all three ways, and check that the outputs are equal."""
    opened = {name: RUNTIMES.get(name)().open(path, SessionOptions()) for name in RUNTIME_NAMES}
    opened["kernels"] = open_kernels(path)
    x = np.random.default_rng(0).normal(size=opened["kernels"].input_shape).astype(np.float32)
    found, right = opened["kernels"].run(x), opened["openvino"].run(x)
    np.testing.assert_allclose(found, right, rtol=0, atol=TOLERANCE * np.abs(right).max())
    try:
        yield opened
    finally:
        for session in opened.values():
            session.close()


def smallest_ms(opened: dict[str, Session], turns: int, burst: int) -> dict[str, float]:
    """Name → processor time of the fastest run; the sessions take turns."""
    times: dict[str, float] = {}
    for _ in range(turns):
        for name, session in opened.items():
            time_ms = min(session.burst(burst).process_ns) / 1e6
            times[name] = min(time_ms, times.get(name, time_ms))
    return times


def layer_share(path: Path, name: str) -> float:
    """The share of a run that the runtime's profiler attributes to the convolution."""
    nodes = RUNTIMES.get(name)().profile(path, SessionOptions()).nodes
    return sum(node.time_ms for node in nodes if "Conv" in node.op) / sum(node.time_ms for node in nodes)


def row(path: Path, shape: Shape, runs: int, turns: int, burst: int) -> dict[str, Any]:
    """One row of the table: times, the ratios of each run, and the GFLOP/s of the kernel."""
    times, layers = [], []
    for _ in range(runs):
        with sessions(path) as opened, measuring(measuring_cores(None, 1)):
            times.append(smallest_ms(opened, turns, burst))
            layers.append(min(times[-1][name] * layer_share(path, name) for name in RUNTIME_NAMES))
    kernels_ms = [found["kernels"] for found in times]
    best_ms = [min(found[name] for name in RUNTIME_NAMES) for found in times]
    return {
        **asdict(shape),
        **{f"{name}_ms": min(found[name] for found in times) for name in times[0]},
        "gflops": 2 * shape.macs / min(kernels_ms) / 1e6,
        "ratios": [best / ours for best, ours in zip(best_ms, kernels_ms, strict=True)],
        "layer_ratios": [alone / ours for alone, ours in zip(layers, kernels_ms, strict=True)],
    }


def spread(values: list[float]) -> str:
    """The geometric mean and the range of the values, as text."""
    return f"{geometric_mean(values):.2f} ({min(values):.2f}-{max(values):.2f})"


def print_table(name: str, rows: list[dict[str, Any]]) -> None:
    """Print one table."""
    times = [f"{key}_ms" for key in (*RUNTIME_NAMES, "kernels")]
    print(f"{name:>18}" + "".join(f"{key:>16}" for key in times) + f"{'GFLOP/s':>9}{'ratio':>19}{'layer ratio':>19}")
    for found in rows:
        label = f"{found['channels']}@{found['size']}² k{found['kernel']} s{found['stride']}"
        cells = "".join(f"{found[key]:>16.4f}" for key in times)
        print(
            f"{label:>18}{cells}{found['gflops']:>9.1f}{spread(found['ratios']):>19}{spread(found['layer_ratios']):>19}"
        )
    print(
        f"{'geometric mean':>18}{'':>57}"
        + "".join(f"{spread(of_runs(rows, key)):>19}" for key in ("ratios", "layer_ratios"))
    )


def of_runs(rows: list[dict[str, Any]], key: str) -> list[float]:
    """Return the geometric mean over the rows for each run."""
    return [geometric_mean(found) for found in zip(*(found[key] for found in rows), strict=True)]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--runs", type=int, default=1, help="runs of all layers, each with newly opened files (default 1)"
    )
    parser.add_argument(
        "--turns", type=int, default=20, help="turns of each of the three sessions in a run (default 20)"
    )
    parser.add_argument("--burst", type=int, default=10, help="runs in a turn (default 10)")
    parser.add_argument("--only", default="", help="show only tables whose name contains this text")
    kernels, strides = (sorted({getattr(s, key) for t in TABLES.values() for s in t}) for key in ("kernel", "stride"))
    parser.add_argument(
        "--kernels", type=int, nargs="+", choices=kernels, default=kernels, help="kernel sizes (default all)"
    )
    parser.add_argument(
        "--strides", type=int, nargs="+", choices=strides, default=strides, help="strides (default all)"
    )
    parser.add_argument("--json", action="store_true", help="one JSON object instead of tables")
    options = parser.parse_args()
    pin(measuring_cores(None, 1))
    tables = {}
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "layer.onnx"
        for name in (name for name in TABLES if options.only in name):
            shapes = [s for s in TABLES[name] if s.kernel in options.kernels and s.stride in options.strides]
            if not shapes:
                continue
            tables[name] = []
            for shape in shapes:
                write(path, shape, seed=0)
                tables[name].append(row(path, shape, options.runs, options.turns, options.burst))
            if not options.json:
                print_table(name, tables[name])
    if options.json:
        versions = {name: RUNTIMES.get(name)().version() for name in RUNTIME_NAMES}
        print(json.dumps({"tables": tables, "versions": versions, **describe_processor()}))


if __name__ == "__main__":
    main()
