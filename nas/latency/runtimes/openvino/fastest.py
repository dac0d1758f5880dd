"""The fastest way a kernel computes a layer on this processor, found by timing the bare kernel."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, replace
from math import prod
from typing import Any

import numpy as np

from nas.kernels.library import METHODS, Library
from nas.kernels.sparse_format import ROWS, SparseWeights, fill
from nas.latency.runtimes.openvino.found_out import Memory
from nas.latency.runtimes.openvino.graph_pass import Candidate, Setting

#: Larger blocks are tried while so many values are stored for each one that is not zero.
_MOST_FILL = {1: 1.0, 2: 1.5, 4: 2.2}
#: Narrower vectors are tried where there are no wider ones.
_LANES = 8
#: Fourier transforms are tried with kernels of so many rows and columns.
_LEAST_TRANSFORMED = 5
#: Numbers that are read and written in a run, and of how many channels at least: that fits the cache's second level, as
#: in a chain. Memory is as fast for all settings, but not at all times.
_NUMBERS, _CHANNELS = 1 << 16, 16
#: Each setting runs for so long, and at least so often.
_SETTING_NS, _RUNS = 2_000_000, 3


@dataclass(frozen=True)
class Timed:
    """A setting, and how long the bare kernel takes with it on one thread, what it reads and writes in the cache."""

    setting: Setting
    time_ms: float


def fastest(candidate: Candidate, library: Library, memory: Memory) -> Timed:
    """The candidate's fastest setting, as remembered or found out now."""
    key = _key(candidate)
    known = memory.get(key)
    if known is None:
        found = min(_timed(candidate, library), key=lambda timed: timed.time_ms)
        memory.put(key, known := asdict(found))
    return Timed(Setting(**known["setting"]), known["time_ms"])


def fills(candidate: Candidate) -> list[float]:
    """Share of the weight that is stored, of blocks of 1, 2 and 4 outputs; hundredths."""
    if candidate.kind == "depthwise":
        return [1.0]
    return [round(candidate.density * fill(candidate.weight, rows), 2) for rows in ROWS]


def _key(candidate: Candidate) -> str:
    settings = (
        candidate.channels_last,
        candidate.stride,
        candidate.pads_begin,
        candidate.pads_end,
        candidate.activation,
    )
    shapes = (candidate.weight.shape, candidate.input_shape, candidate.output_shape)
    return f"{candidate.kind} {shapes} {settings} {fills(candidate)}"


def _timed(candidate: Candidate, library: Library) -> Iterator[Timed]:
    runs, part = (_sparse_runs, _pixels) if candidate.kind == "sparse" else (_depthwise_runs, _channels)
    timed = part(candidate)
    x = np.random.default_rng(0).normal(size=timed.input_shape).astype(np.float32)
    times = prod(candidate.input_shape) / prod(timed.input_shape)
    for setting, run in runs(timed, library, x):
        yield Timed(setting, times * _minimum_ms(run))


def _pixels(candidate: Candidate) -> Candidate:
    """A sparse layer over some of its pixels, a number of them that is no multiple of 32: as few share a cache set."""
    outputs, inputs = candidate.weight.shape
    pixels, most = prod(candidate.input_shape) // inputs, _NUMBERS // (outputs + inputs) // 32 * 32 + 16
    some = min(pixels, most)
    return replace(candidate, input_shape=(some, inputs) if candidate.channels_last else (1, inputs, some))


def _channels(candidate: Candidate) -> Candidate:
    """A depthwise layer of some of its channels."""
    images = prod(candidate.input_shape[2:]) + prod(candidate.output_shape[2:])
    some = min(len(candidate.weight), max(_CHANNELS, _NUMBERS // images // _CHANNELS * _CHANNELS))
    weight, bias = candidate.weight[:some], candidate.bias[:some]
    return replace(candidate, weight=weight, bias=bias, input_shape=(1, some, *candidate.input_shape[2:]))


def _sparse_runs(candidate: Candidate, library: Library, x: np.ndarray) -> Iterator[tuple[Setting, Callable[[], Any]]]:
    for rows in ROWS:
        if fill(candidate.weight, rows) > _MOST_FILL[rows]:
            continue
        weights = SparseWeights.of(candidate.weight, rows)
        for name in _instruction_sets(library):
            for width in library.widths(name, rows):
                yield (
                    Setting(rows, width, name),
                    library.sparse(
                        weights,
                        candidate.bias,
                        x,
                        instruction_set=name,
                        width=width,
                        activation=candidate.activation,
                        channels_last=candidate.channels_last,
                    ),
                )


def _depthwise_runs(
    candidate: Candidate, library: Library, x: np.ndarray
) -> Iterator[tuple[Setting, Callable[[], Any]]]:
    transforms = candidate.stride == 1 and min(candidate.weight.shape[1:]) >= _LEAST_TRANSFORMED
    for name in _instruction_sets(library):
        for method in METHODS if transforms else METHODS[:-1]:
            yield (
                Setting(instruction_set=name, method=method),
                library.depthwise(
                    candidate.weight,
                    candidate.bias,
                    x,
                    instruction_set=name,
                    stride=candidate.stride,
                    pads_begin=candidate.pads_begin,
                    pads_end=candidate.pads_end,
                    activation=candidate.activation,
                    method=method,
                ),
            )


def _instruction_sets(library: Library) -> list[str]:
    available = [item for item in library.instruction_sets if item.available]
    return [item.name for item in available if item.lanes >= _LANES] or [available[0].name]


def _minimum_ms(run: Callable[[], Any]) -> float:
    """Least wall time of a run.

    Processor time would not count interruptions, but virtual machines may report none at all for a short run.
    """
    run()
    times: list[int] = []
    while len(times) < _RUNS or sum(times) < _SETTING_NS:
        start = time.perf_counter_ns()
        run()
        times.append(time.perf_counter_ns() - start)
    return min(times) / 1e6
