"""How much faster is a sparse 1×1 convolution with the native kernels than the dense convolution?

Single layers with zeros in each supported pattern are written as ONNX files. Each file is timed in OpenVINO with the
kernels, and in ONNX Runtime and plain OpenVINO, which do not skip zeros. The runtimes take turns on one thread, and the
shortest processor time counts. The ratio is the time of the faster runtime without kernels divided by the time of the
kernels. The GFLOP/s count only weights that are not zero.

Example: ``python benchmarks/sparse_kernels.py --runs 3``, or for few layers
``--shapes 512x512x14 --patterns "4x1 blocks" --runs 1``
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing
from dataclasses import asdict, dataclass
from itertools import product
from pathlib import Path
from statistics import geometric_mean, median
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from nas.kernels import build
from nas.kernels.library import Library
from nas.latency.machine.affinity import measuring_cores, pin
from nas.latency.runtimes import RUNTIMES, SessionOptions
from nas.processor import describe_processor

KERNELS, DENSE = "openvino_kernels", ("onnxruntime", "openvino")
#: Shapes of layers: outputs × inputs × height and width of the image.
SHAPES = ("128x128x28", "256x256x14", "512x512x14", "1024x1024x7", "1536x384x14", "384x1536x14")
#: Steps of the loop that measures the peak of a core.
PEAK_STEPS = 20_000


@dataclass(frozen=True)
class Pattern:
    """A sparsity pattern: blocks of ``outputs`` adjacent outputs are kept or removed together."""

    outputs: int
    densities: tuple[float, ...]
    #: Number of adjacent inputs that compete; None if all blocks of the layer do.
    inputs: int | None = None

    def weight(self, shape: tuple[int, int], density: float, rng: np.random.Generator) -> np.ndarray:
        """A random sparse weight, ``(outputs, inputs)``."""
        scores = rng.random((shape[0] // self.outputs, shape[1]))
        groups = scores.reshape(-1, self.inputs or scores.size)
        kept = groups.argsort(1).argsort(1) < round(density * groups.shape[1])
        weight = rng.standard_normal(shape, np.float32)
        return np.where(np.repeat(kept.reshape(scores.shape), self.outputs, 0), weight, np.float32(0))


PATTERNS = {
    "unstructured": Pattern(1, (0.3, 0.2, 0.1, 0.05)),
    "4x1 blocks": Pattern(4, (0.3, 0.2, 0.1, 0.05)),
    "N:4 by four": Pattern(4, (0.5, 0.25), inputs=4),
}


def write_layer(path: Path, weight: np.ndarray, side: int, rng: np.random.Generator) -> None:
    """Write an ONNX file of a 1×1 convolution with a bias and a ReLU."""
    outputs, inputs = weight.shape
    bias = rng.standard_normal(outputs, np.float32)
    nodes = [helper.make_node("Conv", ["x", "weight", "bias"], ["sums"]), helper.make_node("Relu", ["sums"], ["y"])]
    x, y = (
        helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, channels, side, side])
        for name, channels in (("x", inputs), ("y", outputs))
    )
    arrays = {"weight": weight[:, :, None, None], "bias": bias}
    constants = [numpy_helper.from_array(array, name) for name, array in arrays.items()]
    graph = helper.make_graph(nodes, "layer", [x], [y], constants)
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10), path)


def times_ms(path: Path, bursts: int, burst_runs: int) -> dict[str, float]:
    """Runtime → shortest processor time of a run, in fresh sessions."""
    found: dict[str, float] = {}
    with ExitStack() as stack:
        sessions = {
            name: stack.enter_context(closing(RUNTIMES.get(name)().open(path, SessionOptions())))
            for name in (KERNELS, *DENSE)
        }
        for _ in range(bursts):
            for name, session in sessions.items():
                fastest = min(session.burst(burst_runs).process_ns) / 1e6
                found[name] = min(found.get(name, fastest), fastest)
    return found


def peak_gflops(library: Library) -> float:
    """Peak of a core: GFLOP/s of multiply-adds in registers, with the best of its instruction sets."""
    found = []
    for item in library.instruction_sets:
        for _ in range(20 * item.available):
            start = time.process_time_ns()
            multiply_adds = library.multiply_adds(item.name, PEAK_STEPS)
            found.append(2 * multiply_adds / (time.process_time_ns() - start))
    return max(found)


def measure(options: argparse.Namespace) -> Iterator[dict[str, Any]]:
    """Yield one row for each layer: its runs, each with the times of all runtimes, the ratio and the GFLOP/s."""
    rng = np.random.default_rng(options.seed)
    layers = [(name, density) for name in options.patterns for density in PATTERNS[name].densities]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "layer.onnx"
        for (name, density), shape in product(layers, options.shapes):
            outputs, inputs, side = map(int, shape.split("x"))
            weight = PATTERNS[name].weight((outputs, inputs), density, rng)
            write_layer(path, weight, side, rng)
            flops = 2 * np.count_nonzero(weight) * side**2
            runs = []
            for _ in range(options.runs):
                found = times_ms(path, options.bursts, options.burst_runs)
                ratio = min(found[dense] for dense in DENSE) / found[KERNELS]
                runs.append({"ms": found, "ratio": ratio, "gflops": flops / found[KERNELS] / 1e6})
            yield {"pattern": name, "density": density, "shape": shape, "runs": runs}


@dataclass(frozen=True)
class Mean:
    """The geometric mean of the ratio over shapes: its median, smallest and largest value over the runs."""

    pattern: str
    density: float
    ratio: float
    least: float
    largest: float


def means(rows: list[dict[str, Any]]) -> list[Mean]:
    """One mean for each pattern and density, in the order of the rows."""
    found = []
    for pattern, density in dict.fromkeys((row["pattern"], row["density"]) for row in rows):
        ratios = [
            [run["ratio"] for run in row["runs"]]
            for row in rows
            if (row["pattern"], row["density"]) == (pattern, density)
        ]
        runs = [geometric_mean(of_run) for of_run in zip(*ratios, strict=True)]
        found.append(Mean(pattern, density, median(runs), min(runs), max(runs)))
    return found


def print_title(peak: float) -> None:
    """Print the peak and the heading of the table."""
    print(f"peak of a core: {peak:.0f} GFLOP/s")
    titles = ("kernels ms", "onnxruntime ms", "openvino ms", "ratio", "GFLOP/s", "of peak")
    print(f"{'pattern':<14}{'zeros':>6}{'shape':>14}" + "".join(f"{title:>16}" for title in titles))


def print_row(row: dict[str, Any], peak: float) -> None:
    """Print one row with the medians of the runs."""
    ms = [median(run["ms"][name] for run in row["runs"]) for name in (KERNELS, *DENSE)]
    ratio, gflops = (median(run[key] for run in row["runs"]) for key in ("ratio", "gflops"))
    cells = [*(f"{time_ms:.4f}" for time_ms in ms), f"{ratio:.2f}", f"{gflops:.1f}", f"{gflops / peak:.0%}"]
    name = f"{row['pattern']:<14}{1 - row['density']:>6.0%}{row['shape']:>14}"
    print(name + "".join(f"{cell:>16}" for cell in cells), flush=True)


def print_means(rows: list[dict[str, Any]]) -> None:
    """Print the means with the range of the runs."""
    print("\ngeometric mean of the ratio over shapes (range of the runs)")
    for mean in means(rows):
        name = f"{mean.pattern:<14}{1 - mean.density:>6.0%}"
        print(f"{name}{mean.ratio:>8.2f}  ({mean.least:.2f} to {mean.largest:.2f})")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shapes", nargs="+", default=SHAPES, help="outputs x inputs x side, such as 512x512x14")
    parser.add_argument("--patterns", nargs="+", choices=PATTERNS, default=list(PATTERNS))
    parser.add_argument("--runs", type=int, default=3, help="fresh sessions of each layer (default 3)")
    parser.add_argument("--bursts", type=int, default=10, help="bursts of each runtime (default 10)")
    parser.add_argument("--burst-runs", type=int, default=10)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", action="store_true", help="one JSON object instead of tables")
    options = parser.parse_args()
    pin(measuring_cores(None, 1))
    peak, rows = peak_gflops(Library(build.library())), []
    if not options.json:
        print_title(peak)
    for row in measure(options):
        rows.append(row)
        if not options.json:
            print_row(row, peak)
    if not options.json:
        return print_means(rows)
    versions = {name: RUNTIMES.get(name)().version() for name in (KERNELS, *DENSE)}
    found = {"peak_gflops": peak, "layers": rows, "means": [asdict(mean) for mean in means(rows)]}
    print(json.dumps({**found, "versions": versions, **describe_processor()}))


if __name__ == "__main__":
    main()
