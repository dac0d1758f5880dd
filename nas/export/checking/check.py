"""Does the file compute what the network computes?"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import numpy as np
from torch import Tensor, nn

from nas.errors import ExportError, MeasureError
from nas.export.checking.evaluate import run_batches
from nas.export.checking.expected import Expected, expect
from nas.latency.runtimes import RUNTIMES, SessionOptions

#: Largest difference of a 32-bit file to the network, in standard deviations of the output.
TOLERANCE = 1e-3
#: Of a file of fewer bits to its simulation, in steps of 255: sums that fall between two integers may be rounded
#: either way.
TOLERATED_STEPS = 3.0
#: Of a file's distance to the network without rounding, in the simulation's.
TOLERATED_NOISE = 1.5
#: Of the same distance, in that of a simulation that knows nothing of the file: it rounds at other places.
TOLERATED_EXPLANATION = 3.0
#: Distance that is never too much in a file of fewer bits, in standard deviations of the output.
NEGLIGIBLE = 0.01


def relative_error(model: nn.Module, path: Path, inputs: Tensor, *, runtime: str) -> float:
    """Largest absolute difference between file and network, in standard deviations of the output.

    Args:
        model: in eval mode.
        path: the file.
        inputs: ``(M, C, H, W)``.
        runtime: what runs the file.

    Raises:
        ExportError: the file can't be run, or what ``expect`` raises.
    """
    found, batch = file_answers(path, inputs, runtime)
    return difference(found, expect(model, inputs, batch), path)


def check_same(expected: Expected, path: Path, *, runtime: str, blame: Callable[[], str] = lambda: "") -> float:
    """``difference`` of a file in 32 bits, at most ``TOLERANCE``.

    Args:
        expected: what the network answers.
        path: the file.
        runtime: what runs the file.
        blame: says where the two part ways, for the message.

    Raises:
        ExportError: it is more, or the file can't be run.
    """
    found, _ = file_answers(path, expected.inputs, runtime)
    error = difference(found, expected, path)
    if not error <= TOLERANCE:
        cause = blame() or "An operator of the file does not compute what torch computes"
        raise ExportError(
            f"{path.name} in 32 bits differs from the network by {error:.3g} standard deviations of its output in "
            f"{runtime} (allowed: {TOLERANCE:g}). {cause}"
        )
    return error


def difference(found: np.ndarray, expected: Expected, path: Path) -> float:
    """Largest absolute difference, in standard deviations of what was expected.

    Raises:
        ExportError: another shape, or values that are not finite.
    """
    if found.shape != expected.outputs.shape:
        raise ExportError(
            f"{path.name} answers with the shape {found.shape}, but the network with {expected.outputs.shape}; an "
            "operator of the network is exported wrongly: write it in other operators, or register an op for it"
        )
    if not np.isfinite(found).all():
        raise ExportError(
            f"{path.name} answers NaN or infinity where the network answers finite numbers; an operator of the network "
            "overflows in the file: write it in other operators, or choose a precision of more bits"
        )
    return float(np.abs(found - expected.outputs).max()) / expected.spread


def check_rounding(simulated: np.ndarray, found: np.ndarray, expected: Expected, path: Path, *, runtime: str) -> None:
    """Whether a file of fewer bits answers what the simulation of its own roundings answers.

    In a deep network one sum that is rounded the other way changes many values after it, and a runtime may round less
    than the file says. That is fine as long as the root mean square of the file's distance to the simulation is no more
    than that of the simulation to the network, or the file is hardly further from the network than the simulation.

    Raises:
        ExportError: neither is so, and the largest difference is more than ``TOLERATED_STEPS`` of 255.
    """
    step = max(float(np.ptp(simulated)), 1e-30) / 255
    steps = float(np.abs(found - simulated).max()) / step
    rounding = _rms(expected.outputs - simulated)
    further = _rms(found - simulated) > rounding and _rms(found - expected.outputs) > TOLERATED_NOISE * rounding
    if not steps <= TOLERATED_STEPS and further:
        raise ExportError(
            f"{path.name} in {runtime} differs by {steps:.3g} of 255 steps from torch with the same roundings "
            f"(allowed: {TOLERATED_STEPS:g}, or as much as rounding itself changes). Either the scales, zero points "
            "or integers in the file are wrong, or 8-bit weights overflow on this processor: set full_range: false in "
            "the precision policy, or keep this network in fp32"
        )


def check_explained(rounded: np.ndarray, found: np.ndarray, expected: Expected, path: Path, *, runtime: str) -> None:
    """Whether rounding at all explains how far a file of fewer bits is from the network.

    Args:
        rounded: what torch answers with everything rounded (``rounded_answers``).
        found: what the file answers.
        expected: what the network answers.
        path: the file.
        runtime: what ran the file.

    Raises:
        ExportError: the root mean square of the file's distance is more than ``TOLERATED_EXPLANATION`` times that of
            the rounded network, and more than ``NEGLIGIBLE``.
    """
    explained = _rms(rounded - expected.outputs) / expected.spread
    distance = _rms(found - expected.outputs) / expected.spread
    allowed = max(NEGLIGIBLE, TOLERATED_EXPLANATION * explained)
    if not distance <= allowed:
        raise ExportError(
            f"{path.name} is {distance:.3g} standard deviations of its output away from the network in {runtime} "
            f"(root mean square), but rounding explains no more than {allowed:.3g}: its integers, scales or zero "
            "points are not those of the network; keep this network in fp32, or register ops for its nodes"
        )


def file_answers(path: Path, inputs: Tensor, runtime: str) -> tuple[np.ndarray, int]:
    """What the file answers, and the batch it answers at once.

    Raises:
        ExportError: the runtime can't open or run it.
    """
    try:
        with closing(RUNTIMES.get(runtime)().open(path, SessionOptions(batch=len(inputs)))) as session:
            return run_batches(session, inputs.cpu().numpy()), session.input_shape[0]
    except MeasureError as error:
        raise ExportError(f"{path.name} was written but {runtime} can't run it: {error}") from error


def _rms(values: np.ndarray) -> float:
    return float(np.sqrt(np.mean(np.square(values, dtype=np.float64))))
