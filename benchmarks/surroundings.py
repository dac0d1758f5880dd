"""Networks whose latencies differ by a few percent, and other work on the machine, for benchmarks of the protocol."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from nas.latency.machine.affinity import available_cores, measuring_core

#: Input columns of each network, to which its work is proportional; neighbours differ by 3 to 25 %.
COLUMNS = (20, 25, 26, 28, 29, 32, 33, 36, 38, 42, 46, 56)
CHANNELS, ROWS = 32, 16
#: Number of layers, for a latency of about a millisecond on a desktop core.
DEPTH = 10

#: Trains a small convolutional network on random images without end.
TRAINER = """
import torch
from torch import nn
torch.set_num_threads(1)
net = nn.Sequential(*(layer for _ in range(6) for layer in (nn.LazyConv2d(32, 3, padding=1), nn.ReLU())),
                    nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.LazyLinear(10))
images, labels = torch.randn(64, 3, 32, 32), torch.randint(10, (64,))
net(images)
optimizer = torch.optim.SGD(net.parameters(), 0.01)
print("ready", flush=True)
while True:
    optimizer.zero_grad()
    nn.functional.cross_entropy(net(images), labels).backward()
    optimizer.step()
"""
#: Keeps its core busy without doing anything.
HOG = "print('ready', flush=True)\nwhile True: pass"


def write_net(path: Path, columns: int, depth: int = DEPTH) -> None:
    """Write a stack of 3×3 convolutions with ReLU on ``(1, CHANNELS, ROWS, columns)``."""
    generator = np.random.default_rng(0)
    shape = [1, CHANNELS, ROWS, columns]
    nodes, weights = [], []
    for index in range(depth):
        kernel = generator.normal(0, (2 / (9 * CHANNELS)) ** 0.5, (CHANNELS, CHANNELS, 3, 3))
        weights.append(numpy_helper.from_array(kernel.astype(np.float32), f"w{index}"))
        convolution = helper.make_node("Conv", [f"x{index}", f"w{index}"], [f"c{index}"], pads=[1] * 4)
        nodes += [convolution, helper.make_node("Relu", [f"c{index}"], [f"x{index + 1}"])]
    ends = [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name in ("x0", f"x{depth}")]
    graph = helper.make_graph(nodes, path.stem, ends[:1], ends[1:], weights)
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), str(path))


def write_nets(folder: Path, count: int, depth: int = DEPTH) -> list[Path]:
    """Write the first ``count`` networks, the fastest first."""
    paths = [folder / f"{columns}.onnx" for columns in COLUMNS[:count]]
    for path, columns in zip(paths, COLUMNS, strict=False):
        write_net(path, columns, depth)
    return paths


@contextmanager
def working(code: str, core: int) -> Iterator[None]:
    """Run ``code`` in a process on a core while the block runs; the block starts when the process is ready."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-c", f"import os; os.sched_setaffinity(0, {{{core}}})\n{code}"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment)
    try:
        assert process.stdout is not None
        if process.stdout.readline() != "ready\n":
            raise SystemExit(f"the process that should occupy core {core} did not start")
        yield
    finally:
        process.kill()
        process.communicate()


@contextmanager
def trainers(cores: Sequence[int]) -> Iterator[None]:
    """Run a training on each of the cores while the block runs."""
    with ExitStack() as stack:
        for core in cores:
            stack.enter_context(working(TRAINER, core))
        yield


def cores_at_work() -> dict[str, list[int]]:
    """Condition → cores on which a training runs."""
    cores = available_cores()
    own = measuring_core()
    found: dict[str, list[int]] = {"idle": []}
    if len(cores) > 1:
        found["one trainer"] = [cores[0]]
    return found | {"two trainers": [cores[0], own] if len(cores) > 1 else [own, own]}
