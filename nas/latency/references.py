"""The ladder of reference models: what a candidate is timed against, within 3× of its time."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

OPSET = 17


@dataclass(frozen=True)
class Rung:
    """A stack of 3×3 convolutions with ReLU: ``depth`` layers of ``channels`` on ``size``² pixels."""

    name: str
    channels: int
    size: int
    depth: int


#: About 2× apart, from hundredths of a millisecond to tens of milliseconds on a desktop core.
LADDER = (
    Rung("r00", 8, 8, 2),
    Rung("r01", 8, 16, 2),
    Rung("r02", 16, 16, 2),
    Rung("r03", 16, 16, 4),
    Rung("r04", 32, 16, 3),
    Rung("r05", 32, 16, 6),
    Rung("r06", 32, 32, 3),
    Rung("r07", 32, 32, 6),
    Rung("r08", 64, 32, 3),
    Rung("r09", 64, 32, 6),
    Rung("r10", 64, 32, 12),
    Rung("r11", 64, 56, 8),
    Rung("r12", 64, 56, 16),
)


def write_reference(rung: Rung, path: Path) -> None:
    """Write a rung's model; the same bytes every time."""
    generator = np.random.default_rng(0)
    shape = [1, rung.channels, rung.size, rung.size]
    nodes, weights = [], []
    for index in range(rung.depth):
        kernel = generator.normal(0, (2 / (9 * rung.channels)) ** 0.5, (rung.channels, rung.channels, 3, 3))
        weights.append(numpy_helper.from_array(kernel.astype(np.float32), f"w{index}"))
        nodes += [
            helper.make_node("Conv", [f"x{index}", f"w{index}"], [f"c{index}"], pads=[1, 1, 1, 1]),
            helper.make_node("Relu", [f"c{index}"], [f"x{index + 1}"]),
        ]
    graph = helper.make_graph(
        nodes,
        rung.name,
        [helper.make_tensor_value_info("x0", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info(f"x{rung.depth}", TensorProto.FLOAT, shape)],
        weights,
    )
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=8), str(path))


def choose_rung(reference_ms: dict[str, float], time_ms: float) -> str:
    """The rung nearest to ``time_ms``, by ratio."""
    return min(reference_ms, key=lambda name: abs(np.log(reference_ms[name] / time_ms)))
