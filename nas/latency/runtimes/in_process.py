"""Shared parts of runtimes that run within the measuring process: fixed random inputs, and timing of runs."""

from __future__ import annotations

import resource
import time
from collections.abc import Callable, Sequence
from typing import final

import numpy as np

from nas.errors import MeasureError
from nas.latency.runtimes import Burst


def random_input(name: str, sizes: Sequence[int | str | None], dtype: np.dtype, batch: int) -> np.ndarray:
    """A random input, equal in every call; ``batch`` replaces a symbolic (non-integer) first dimension.

    Raises:
        MeasureError: another dimension is symbolic.
    """
    shape: list[int] = []
    for axis, size in enumerate(sizes):
        if not isinstance(size, int) and axis > 0:
            raise MeasureError(
                f"input {name!r} has the shape {list(sizes)}: only the batch, its first dimension, may be "
                "symbolic; export the model with fixed sizes"
            )
        shape.append(size if isinstance(size, int) else batch)
    generator = np.random.default_rng(0)
    if dtype.kind == "f":
        return generator.normal(size=shape).astype(dtype)
    return generator.integers(0, 2, size=shape).astype(dtype)


def as_only_input(inputs: np.ndarray, fixed: Sequence[np.ndarray], num_outputs: int) -> np.ndarray:
    """``inputs`` with the element type of a model's only input.

    Args:
        inputs: array to convert.
        fixed: arrays with the shapes and types of the model's inputs.
        num_outputs: number of the model's outputs.

    Raises:
        MeasureError: the model has several inputs or outputs, or ``inputs`` has another shape than its input.
    """
    if len(fixed) != 1 or num_outputs != 1:
        raise MeasureError(
            f"the model has {len(fixed)} inputs and {num_outputs} outputs; it can be measured, but its outputs can be "
            "checked only if it has one of each"
        )
    if inputs.shape != fixed[0].shape:
        raise MeasureError(f"the inputs have the shape {inputs.shape}; this session takes {fixed[0].shape}")
    return np.ascontiguousarray(inputs, dtype=fixed[0].dtype)


@final
class Clocks:
    """Times runs by the wall clock and the processor clock of this process, and counts pre-emptions.

    Args:
        processor_time: whether to report processor time, which means nothing if this process only waits for a device.
    """

    def __init__(self, *, processor_time: bool = True) -> None:
        self._cost_ns = _cost_ns()
        self._processor_time = processor_time

    def burst(self, run: Callable[[], object], runs: int) -> Burst:
        """Call ``run`` ``runs`` times and time each call."""
        usage = resource.getrusage
        wall, process, switches = [], [], []
        for _ in range(runs):
            before = usage(resource.RUSAGE_SELF).ru_nivcsw
            process_start = time.process_time_ns()
            start = time.perf_counter_ns()
            run()
            end = time.perf_counter_ns()
            process_end = time.process_time_ns()
            wall.append(end - start)
            process.append(max(1, process_end - process_start - self._cost_ns))
            switches.append(usage(resource.RUSAGE_SELF).ru_nivcsw - before)
        return Burst(tuple(wall), tuple(process) if self._processor_time else (), tuple(switches))


def _cost_ns() -> int:
    """Nanoseconds that reading the clocks adds to a processor time; this matters for runs of 20 microseconds."""
    costs = []
    for _ in range(50):
        start = time.process_time_ns()
        time.perf_counter_ns()
        time.perf_counter_ns()
        costs.append(time.process_time_ns() - start)
    return min(costs)
