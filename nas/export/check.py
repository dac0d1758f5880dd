"""Does the file compute what the network computes?"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from nas.errors import ExportError, MeasureError
from nas.export.calibration import device_of
from nas.export.evaluate import run_batches
from nas.latency.runtimes import RUNTIMES, SessionOptions

#: Largest difference of a 32-bit file to the network, in standard deviations of the output.
TOLERANCE = 1e-3
#: Of a file of fewer bits to its simulation, in steps of 255: sums that fall between two integers may be rounded
#: either way.
TOLERATED_STEPS = 3.0
#: Of a file's distance to the network without rounding, in the simulation's.
TOLERATED_NOISE = 1.5


def relative_error(model: nn.Module, path: Path, inputs: Tensor, *, runtime: str, tolerance: float | None) -> float:
    """Largest absolute difference between file and network, in standard deviations of the output.

    Args:
        model: in eval mode.
        path: the file.
        inputs: ``(M, C, H, W)``.
        runtime: what runs the file.
        tolerance: what is allowed; None only asks for finite values.

    Raises:
        ExportError: the file can't be run, an output is not finite or does not vary, or the error is over
            the tolerance.
    """
    with torch.no_grad():
        expected = model(inputs.to(device_of(model))).float().cpu().numpy()
    found = _answers(path, inputs, runtime)
    if found.shape != expected.shape:
        raise ExportError(f"{path.name} answers {found.shape}, the network {expected.shape}")
    if not (np.isfinite(expected).all() and np.isfinite(found).all()):
        raise ExportError(f"{path.name}: the output is not finite; check the network's weights")
    spread, largest = float(expected.std()), float(np.abs(expected).max())
    if not spread > 1e-7 * largest:
        raise ExportError(
            f"{path.name}: the network answers {largest:.3g} whatever the input, so nothing can be checked; "
            "its weights may be untrained (seed_weights) or the signal dies on the way"
        )
    difference = float(np.abs(found - expected).max()) / spread
    if tolerance is not None and not difference <= tolerance:
        raise ExportError(
            f"{path.name} differs from the network by {difference:.3g} standard deviations of its output in "
            f"{runtime} (allowed: {tolerance:g}); an op's emitter does not compute what the op computes"
        )
    return difference


def check_rounding(
    simulation: Callable[[Tensor], Tensor], model: nn.Module, path: Path, inputs: Tensor, *, runtime: str
) -> float:
    """Largest difference to what the file's own roundings give in torch, in steps of 255 for all of the output.

    In a deep network one sum that is rounded the other way moves many after it, and a runtime may round less than the
    file says. That is well as long as the file's answers, by the root of their mean square, part no more from the
    simulation's than those from the network's without rounding, or are hardly further from the network's.

    Raises:
        ExportError: neither is so, and the difference is more than ``TOLERATED_STEPS``.
    """
    expected = simulation(inputs).float().cpu().numpy()
    with torch.no_grad():
        unrounded = model(inputs.to(device_of(model))).float().cpu().numpy()
    difference = _answers(path, inputs, runtime) - expected
    step = max(float(np.ptp(expected)), 1e-30) / 255
    steps = float(np.abs(difference).max()) / step
    rounding = _rms(unrounded - expected)
    further = _rms(difference) > rounding and _rms(difference + expected - unrounded) > TOLERATED_NOISE * rounding
    if not steps <= TOLERATED_STEPS and further:
        raise ExportError(
            f"{path.name} differs from the simulation of its roundings by {steps:.3g} steps of 255 in {runtime} "
            f"(allowed: {TOLERATED_STEPS:g}, or what rounding changes at all); scales, zero points or integers are not "
            "those of the network, or weights of all 8 bits overflow here (full_range: false)"
        )
    return steps


def _rms(values: np.ndarray) -> float:
    return float(np.sqrt(np.mean(np.square(values, dtype=np.float64))))


def _answers(path: Path, inputs: Tensor, runtime: str) -> np.ndarray:
    try:
        with closing(RUNTIMES.get(runtime)().open(path, SessionOptions(batch=len(inputs)))) as session:
            return run_batches(session, inputs.cpu().numpy())
    except MeasureError as error:
        raise ExportError(f"{path.name} was written but can't be run: {error}") from error
