"""How much processor time does an int8 export cost, compared with ONNX Runtime's own quantiser?

    python benchmarks/quantization_cost.py [--networks 5]

Random networks of ``plain_convnet`` are calibrated on the same inputs. The project's export writes pairs of quantise
and dequantise nodes from known ranges; its time includes the whole export and its checks. ``quantize_static`` of ONNX
Runtime converts an existing fp32 file; its time includes its preparation, but no checks. Neither time includes
building the networks and writing the fp32 file.
"""

from __future__ import annotations

import argparse
import logging
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import onnx
import torch
from torch import Tensor

from nas.export.onnx import OnnxExporter
from nas.export.seeding import seed_weights
from nas.space import Network
from nas.space.chooser import RandomChooser
from nas.space.sampling import Searched
from nas.tasks import make_task
from search_spaces.plain_convnet import PlainConvNet

TASK = make_task("digits", image_size=16)
SHAPE = (1, *TASK.input_shape)
NUM_CALIBRATED = 256


class Reader:
    """Calibration inputs in the form that ``quantize_static`` reads."""

    def __init__(self, inputs: Tensor) -> None:
        self._batches: Iterator[Tensor] = iter(inputs.split(1))

    def get_next(self) -> dict[str, Any] | None:
        batch = next(self._batches, None)
        return None if batch is None else {"input": batch.numpy()}


def network(seed: int, option: str) -> Network:
    policies = ({"name": "precision", "options": [option]},)
    space = Searched(PlainConvNet(), {"name": "plain_convnet"}, policies, TASK)
    built = space.build(space.sample(RandomChooser(seed)).architecture, seed)
    seed_weights(built, SHAPE, str(seed))
    built.finalize()
    return built


def export(built: Network, path: Path, inputs: Tensor) -> None:
    OnnxExporter().export(built, path, input_shape=SHAPE, calibration=inputs)


def quantize(source: Path, path: Path, inputs: Tensor) -> None:
    from onnxruntime.quantization import QuantFormat, QuantType, quantize_static
    from onnxruntime.quantization.shape_inference import quant_pre_process

    prepared = path.with_suffix(".prepared.onnx")
    quant_pre_process(str(source), str(prepared))
    quantize_static(
        str(prepared),
        str(path),
        Reader(inputs),
        quant_format=QuantFormat.QDQ,
        activation_type=QuantType.QUInt8,
        weight_type=QuantType.QInt8,
        per_channel=True,
        reduce_range=True,
    )


def processor_seconds(work: Callable[[], object]) -> float:
    started = time.process_time()
    work()
    return time.process_time() - started


def compare(seed: int, folder: Path, inputs: Tensor) -> tuple[float, float]:
    """Processor seconds of the project's export and of ``quantize_static``."""
    floats, integers, theirs = (folder / f"{name}.onnx" for name in ("floats", "integers", "theirs"))
    export(network(seed, "fp32"), floats, inputs)
    built = network(seed, "int8")
    seconds = (
        processor_seconds(lambda: export(built, integers, inputs)),
        processor_seconds(lambda: quantize(floats, theirs, inputs)),
    )
    for path in (integers, theirs):
        if not any(node.op_type == "QuantizeLinear" for node in onnx.load(str(path)).graph.node):
            raise SystemExit(f"{path.name} has no quantised nodes; nothing was compared")
    return seconds


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--networks", type=int, default=5)
    count = parser.parse_args().networks
    torch.set_num_threads(1)
    logging.getLogger().setLevel(logging.ERROR)
    data = TASK.dataset("train")
    inputs = torch.stack([data[index][0] for index in range(NUM_CALIBRATED)])
    with tempfile.TemporaryDirectory() as folder:
        # The first network is not counted, because it includes imports.
        rows = [compare(seed, Path(folder), inputs) for seed in range(count + 1)][1:]
    print(f"{'network':>8}{'direct, s':>12}{'quantize_static, s':>20}{'ratio':>8}")
    for number, (ours, theirs) in enumerate(rows, 1):
        print(f"{number:>8}{ours:>12.3f}{theirs:>20.3f}{theirs / ours:>8.1f}")
    print(f"median ratio {statistics.median(theirs / ours for ours, theirs in rows):.1f}")


if __name__ == "__main__":
    main()
