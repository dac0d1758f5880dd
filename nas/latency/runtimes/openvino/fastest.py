"""Finds a kernel's fastest setting for a layer on this processor, by timing the kernel in isolation."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, replace
from math import prod
from typing import Any

import numpy as np

from nas.kernels.library import METHODS, Library
from nas.kernels.sparse_format import ROWS, SparseWeights, fill
from nas.latency.runtimes.openvino.choice_cache import ChoiceCache
from nas.latency.runtimes.openvino.graph_pass import KernelLayer, Setting

#: Rows per block → largest number of stored values per non-zero with which this block size is tried.
_MAX_FILL = {1: 1.0, 2: 1.5, 4: 2.2}
#: Smallest number of vector lanes; instruction sets with fewer are tried only if no other is available.
_LANES = 8
#: Fourier transforms are tried for kernels with at least this number of rows and columns.
_MIN_TRANSFORMED = 5
#: Largest number of values read and written per run, and smallest number of channels. The working set must stay in the
#: L2 cache: memory bandwidth fluctuates and would blur the comparison.
_NUMBERS, _CHANNELS = 1 << 16, 16
#: Each setting runs for at least this many nanoseconds and this many times.
_SETTING_NS, _RUNS = 2_000_000, 3


@dataclass(frozen=True)
class Timed:
    """A setting, and the time that the kernel takes with it in isolation, on one thread, with data in the cache."""

    setting: Setting
    time_ms: float


def fastest(layer: KernelLayer, library: Library, cache: ChoiceCache) -> Timed:
    """The layer's fastest setting, from the cache or by timing now."""
    key = _key(layer)
    known = cache.get(key)
    if known is None:
        found = min(_timed(layer, library), key=lambda timed: timed.time_ms)
        cache.put(key, known := asdict(found))
    return Timed(Setting(**known["setting"]), known["time_ms"])


def fills(layer: KernelLayer) -> list[float]:
    """Shares of the weight that are stored with blocks of 1, 2 and 4 outputs, rounded to hundredths."""
    if layer.kind == "depthwise":
        return [1.0]
    return [round(layer.density * fill(layer.weight, rows), 2) for rows in ROWS]


def _key(layer: KernelLayer) -> str:
    settings = (
        layer.channels_last,
        layer.stride,
        layer.pads_begin,
        layer.pads_end,
        layer.activation,
    )
    shapes = (layer.weight.shape, layer.input_shape, layer.output_shape)
    return f"{layer.kind} {shapes} {settings} {fills(layer)}"


def _timed(layer: KernelLayer, library: Library) -> Iterator[Timed]:
    runs, part = (_sparse_runs, _pixels) if layer.kind == "sparse" else (_depthwise_runs, _channels)
    timed = part(layer)
    x = np.random.default_rng(0).normal(size=timed.input_shape).astype(np.float32)
    times = prod(layer.input_shape) / prod(timed.input_shape)
    for setting, run in runs(timed, library, x):
        yield Timed(setting, times * _minimum_ms(run))


def _pixels(layer: KernelLayer) -> KernelLayer:
    """A sparse layer with fewer pixels.

    Their number is not a multiple of 32, so that few values share a set of the cache.
    """
    outputs, inputs = layer.weight.shape
    pixels, max_pixels = prod(layer.input_shape) // inputs, _NUMBERS // (outputs + inputs) // 32 * 32 + 16
    some = min(pixels, max_pixels)
    return replace(layer, input_shape=(some, inputs) if layer.channels_last else (1, inputs, some))


def _channels(layer: KernelLayer) -> KernelLayer:
    """A depthwise layer with fewer channels."""
    images = prod(layer.input_shape[2:]) + prod(layer.output_shape[2:])
    some = min(len(layer.weight), max(_CHANNELS, _NUMBERS // images // _CHANNELS * _CHANNELS))
    weight, bias = layer.weight[:some], layer.bias[:some]
    return replace(layer, weight=weight, bias=bias, input_shape=(1, some, *layer.input_shape[2:]))


def _sparse_runs(layer: KernelLayer, library: Library, x: np.ndarray) -> Iterator[tuple[Setting, Callable[[], Any]]]:
    for rows in ROWS:
        if fill(layer.weight, rows) > _MAX_FILL[rows]:
            continue
        weights = SparseWeights.of(layer.weight, rows)
        for name in _instruction_sets(library):
            for width in library.widths(name, rows):
                yield (
                    Setting(rows, width, name),
                    library.sparse(
                        weights,
                        layer.bias,
                        x,
                        instruction_set=name,
                        width=width,
                        activation=layer.activation,
                        channels_last=layer.channels_last,
                    ),
                )


def _depthwise_runs(layer: KernelLayer, library: Library, x: np.ndarray) -> Iterator[tuple[Setting, Callable[[], Any]]]:
    transforms = layer.stride == 1 and min(layer.weight.shape[1:]) >= _MIN_TRANSFORMED
    for name in _instruction_sets(library):
        for method in METHODS if transforms else METHODS[:-1]:
            yield (
                Setting(instruction_set=name, method=method),
                library.depthwise(
                    layer.weight,
                    layer.bias,
                    x,
                    instruction_set=name,
                    stride=layer.stride,
                    pads_begin=layer.pads_begin,
                    pads_end=layer.pads_end,
                    activation=layer.activation,
                    method=method,
                ),
            )


def _instruction_sets(library: Library) -> list[str]:
    available = [item for item in library.instruction_sets if item.available]
    return [item.name for item in available if item.lanes >= _LANES] or [available[0].name]


def _minimum_ms(run: Callable[[], Any]) -> float:
    """Smallest wall time of a run, milliseconds.

    Processor time would leave out interruptions, but virtual machines may report zero for a short run.
    """
    run()
    times: list[int] = []
    while len(times) < _RUNS or sum(times) < _SETTING_NS:
        start = time.perf_counter_ns()
        run()
        times.append(time.perf_counter_ns() - start)
    return min(times) / 1e6
