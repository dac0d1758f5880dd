"""Compares the outputs of a file with those of its network."""

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

#: Largest allowed difference between a 32-bit file and the network, in standard deviations of the output.
TOLERANCE = 1e-3
#: Largest allowed difference between a file with fewer bits and its simulation, in steps of which the output has 255.
#: Sums that fall between two integers may be rounded either way.
TOLERATED_STEPS = 3.0
#: Largest allowed distance between a file with fewer bits and the network, as a multiple of the simulation's distance.
TOLERATED_NOISE = 1.5
#: The same limit as a multiple of the distance of a network whose operators are all rounded, which is independent of
#: the file and rounds other values.
TOLERATED_EXPLANATION = 3.0
#: Distance that is always allowed for a file with fewer bits, in standard deviations of the output.
NEGLIGIBLE = 0.01


def relative_error(model: nn.Module, path: Path, inputs: Tensor, *, runtime: str) -> float:
    """Largest absolute difference between file and network, in standard deviations of the output.

    Args:
        model: the network in eval mode.
        path: the file.
        inputs: ``(M, C, H, W)``.
        runtime: name of the runtime that runs the file.

    Raises:
        ExportError: the file can't be run, or the network can't be compared (see ``expect``).
    """
    found, batch = file_answers(path, inputs, runtime)
    return difference(found, expect(model, inputs, batch), path)


def check_same(expected: Expected, path: Path, *, runtime: str, blame: Callable[[], str] = lambda: "") -> float:
    """Check a file in 32 bits and return its ``difference``, which is at most ``TOLERANCE``.

    Args:
        expected: outputs of the network.
        path: the file.
        runtime: name of the runtime that runs the file.
        blame: returns a message about the place where file and network start to differ.

    Raises:
        ExportError: the difference is larger, or the file can't be run.
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
    """Largest absolute difference from the expected outputs, in their standard deviations.

    Raises:
        ExportError: the shapes differ, or an output is not finite.
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
    """Check that a file with fewer bits has the outputs of the simulation of its rounding.

    In a deep network, one sum that is rounded the other way changes many later values, and a runtime may round fewer
    values than the file says. A file is therefore accepted if one of these is true: the largest difference is at most
    ``TOLERATED_STEPS``; its distance to the simulation (root mean square) is at most that of the simulation to the
    network; its distance to the network is hardly larger than that of the simulation.

    Raises:
        ExportError: none of these is true.
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
    """Check that rounding explains how far a file with fewer bits is from the network.

    Args:
        rounded: outputs of torch with the result of every operator rounded (``rounded_answers``).
        found: outputs of the file.
        expected: outputs of the network.
        path: the file.
        runtime: name of the runtime that ran the file.

    Raises:
        ExportError: the distance of the file (root mean square) is more than ``TOLERATED_EXPLANATION`` times that of
            the rounded network, and more than ``NEGLIGIBLE``.
    """
    explained = _rms(rounded - expected.outputs) / expected.spread
    distance = _rms(found - expected.outputs) / expected.spread
    allowed = max(NEGLIGIBLE, TOLERATED_EXPLANATION * explained)
    if not distance <= allowed:
        raise ExportError(
            f"{path.name} differs from the network by {distance:.3g} standard deviations of its output in {runtime} "
            f"(root mean square), but rounding explains at most {allowed:.3g}: its integers, scales or zero points are "
            "wrong; keep this network in fp32, or register ops for its nodes"
        )


def file_answers(path: Path, inputs: Tensor, runtime: str) -> tuple[np.ndarray, int]:
    """The outputs of the file, and its batch size.

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
