"""The ladder of reference models: what a candidate is timed against, within 3× of its time."""

from __future__ import annotations

import math
from collections.abc import Mapping
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

    @property
    def macs(self) -> int:
        """Multiply-accumulates of one run."""
        return 9 * self.channels**2 * self.size**2 * self.depth


#: About 2× apart, from hundredths of a millisecond to more than a tenth of a second on a desktop core. A
#: stored calibration speaks of these very models: a changed rung needs a new name.
LADDER = (
    Rung("r0", 8, 8, 2),
    Rung("r1", 8, 16, 2),
    Rung("r2", 16, 16, 2),
    Rung("r3", 16, 16, 4),
    Rung("r4", 32, 16, 3),
    Rung("r5", 32, 16, 6),
    Rung("r6", 32, 32, 3),
    Rung("r7", 32, 32, 6),
    Rung("r8", 64, 32, 3),
    Rung("r9", 64, 32, 6),
    Rung("r10", 64, 32, 12),
    Rung("r11", 64, 56, 8),
    Rung("r12", 64, 56, 16),
    Rung("r13", 128, 56, 8),
    Rung("r14", 128, 56, 16),
)


def write_reference(rung: Rung, path: Path) -> None:
    """Write a rung's model; the same bytes every time."""
    generator = np.random.default_rng(0)
    shape = [1, rung.channels, rung.size, rung.size]
    nodes, weights = [], []
    for index in range(rung.depth):
        # He's initialisation: activations keep their scale, so no run meets subnormal numbers.
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


def choose_rung(rungs_ms: Mapping[str, float], time_ms: float) -> str:
    """The rung nearest to ``time_ms``, by ratio."""
    return min(rungs_ms, key=lambda name: abs(math.log(rungs_ms[name] / time_ms)))


def estimated_rungs(calibrated_ms: Mapping[str, float]) -> dict[str, float]:
    """Every rung's time: as calibrated, or extrapolated by its MACs from the largest calibrated rung."""
    known = [rung for rung in LADDER if rung.name in calibrated_ms]
    largest = max(known, key=lambda rung: rung.macs)
    per_mac = calibrated_ms[largest.name] / largest.macs
    return {rung.name: calibrated_ms.get(rung.name, rung.macs * per_mac) for rung in LADDER}
