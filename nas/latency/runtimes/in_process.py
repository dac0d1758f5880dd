"""What runtimes that run within the measuring process share: a fixed input, and clocks around a run."""

from __future__ import annotations

import resource
import time
from collections.abc import Callable, Sequence
from typing import final

import numpy as np

from nas.errors import MeasureError
from nas.latency.runtimes import Burst


def random_input(name: str, sizes: Sequence[int | str | None], dtype: np.dtype, batch: int) -> np.ndarray:
    """A fixed random input; ``batch`` is the first dimension's size where that is symbolic (no integer).

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
    """``inputs`` in the type of a model's only input, whose shape and type are those of ``fixed``.

    Raises:
        MeasureError: the model has several inputs or outputs, or ``inputs`` are of another shape.
    """
    if len(fixed) != 1 or num_outputs != 1:
        raise MeasureError(
            f"the model has {len(fixed)} inputs and {num_outputs} outputs; it can be measured, but answers are "
            "asked of models with one of each"
        )
    if inputs.shape != fixed[0].shape:
        raise MeasureError(f"inputs of shape {inputs.shape}; this session runs {fixed[0].shape}")
    return np.ascontiguousarray(inputs, dtype=fixed[0].dtype)


@final
class Clocks:
    """Wall clock, processor clock and pre-emptions of this process.

    Args:
        processor_time: whether this process does the work; that of one that waits for a device says nothing.
    """

    def __init__(self, *, processor_time: bool = True) -> None:
        self._cost_ns = _cost_ns()
        self._processor_time = processor_time

    def burst(self, run: Callable[[], object], runs: int) -> Burst:
        """Call ``run`` so many times and time each call."""
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
    """What reading the clocks adds to a processor time: a microsecond matters to a network of twenty."""
    costs = []
    for _ in range(50):
        start = time.process_time_ns()
        time.perf_counter_ns()
        time.perf_counter_ns()
        costs.append(time.process_time_ns() - start)
    return min(costs)
