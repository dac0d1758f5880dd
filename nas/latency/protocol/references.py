"""The ladder of reference models; a candidate is timed against one whose time is within 3× of its own."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from nas.latency.protobuf import encode

IR_VERSION, OPSET = 8, 17
#: ONNX's numbers of the element type float and of an attribute that lists integers.
_FLOAT, _INTS = 1, 7


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


#: Rungs about 2× apart, from hundredths of a millisecond to more than a tenth of a second on a desktop core. Stored
#: calibrations refer to exactly these models, so a changed rung needs a new name.
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
    """Write a rung's ONNX model; the bytes are always the same."""
    generator = np.random.default_rng(0)
    nodes, weights = [], []
    for index in range(rung.depth):
        # He initialisation keeps the scale of activations, so that no run meets subnormal numbers.
        kernel = generator.normal(0, (2 / (9 * rung.channels)) ** 0.5, (rung.channels, rung.channels, 3, 3))
        weights.append((5, _tensor(kernel, f"w{index}")))
        pads = encode((1, "pads"), *[(8, 1)] * 4, (20, _INTS))
        inputs, outputs = ((1, f"x{index}"), (1, f"w{index}")), (2, f"c{index}")
        nodes.append((1, encode(*inputs, outputs, (4, "Conv"), (5, pads))))
        nodes.append((1, encode((1, f"c{index}"), (2, f"x{index + 1}"), (4, "Relu"))))
    ends = (11, _image("x0", rung)), (12, _image(f"x{rung.depth}", rung))
    graph = encode(*nodes, (2, rung.name), *weights, *ends)
    path.write_bytes(encode((1, IR_VERSION), (7, graph), (8, encode((1, ""), (2, OPSET)))))


def _tensor(values: np.ndarray, name: str) -> bytes:
    dims = [(1, size) for size in values.shape]
    return encode(*dims, (2, _FLOAT), (8, name), (9, values.astype("<f4").tobytes()))


def _image(name: str, rung: Rung) -> bytes:
    """The declaration of a float input or output of ``(1, channels, size, size)``."""
    shape = encode(*[(1, encode((1, size))) for size in (1, rung.channels, rung.size, rung.size)])
    return encode((1, name), (2, encode((1, encode((1, _FLOAT), (2, shape))))))


def choose_rung(rungs_ms: Mapping[str, float], time_ms: float) -> str:
    """The rung nearest to ``time_ms``, by ratio."""
    return min(rungs_ms, key=lambda name: abs(math.log(rungs_ms[name] / time_ms)))


def estimated_rungs(calibrated_ms: Mapping[str, float]) -> dict[str, float]:
    """Every rung's time, milliseconds: as calibrated, or extrapolated by MACs from the largest calibrated rung."""
    known = [rung for rung in LADDER if rung.name in calibrated_ms]
    largest = max(known, key=lambda rung: rung.macs)
    per_mac = calibrated_ms[largest.name] / largest.macs
    return {rung.name: calibrated_ms.get(rung.name, rung.macs * per_mac) for rung in LADDER}
