"""Chooses the layers of a graph that native kernels compute, by timing on this machine; choices are cached."""

from __future__ import annotations

import hashlib
import logging
import time
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from math import prod
from pathlib import Path

import numpy as np

from nas.errors import MeasureError
from nas.kernels import build
from nas.kernels.library import Library
from nas.latency.runtimes import SessionOptions
from nas.latency.runtimes.openvino.choice_cache import ChoiceCache
from nas.latency.runtimes.openvino.fastest import Timed, fastest, fills
from nas.latency.runtimes.openvino.graph_pass import KernelLayer, Setting, kernel_layers, prepare
from nas.latency.runtimes.openvino.quiet import openvino
from nas.latency.runtimes.openvino.race import Race, Variant
from nas.latency.runtimes.openvino.replacement import replace
from nas.latency.runtimes.openvino.session import filled, profiling, settings_of

#: A kernel that takes more than this multiple of OpenVINO's time is not tried in the graph.
_HOPELESS = 3.0
#: Number of values from which on an image is too large for the cache; fusing its layers then saves most.
_LARGE = 1 << 16
#: Below this fraction of OpenVINO's time, a kernel is kept without trying the graph with and without it.
_CERTAIN = 0.4
#: Largest number of runs of the unchanged graph that are profiled, and largest number of seconds for them.
_PROFILED_RUNS, _PROFILED_S = 40, 0.3
#: Largest difference of outputs, relative to the sum of their standard deviation and largest absolute value.
_TOLERANCE = 1e-3
#: Time for runs of whole graphs, nanoseconds.
_BUDGET_NS = 2_000_000_000
#: Version of the cache; increase it when the selection algorithm changes.
_VERSION = 4
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class KernelChooser:
    """Chooses the layers of a graph whose replacement by native kernels makes the whole graph faster.

    Results are cached beside the library, so they are valid for this processor, OpenVINO version and kernel version.

    Args:
        core: the OpenVINO core that compiles the graphs.
    """

    core: openvino.Core

    @cached_property
    def library(self) -> Path:
        """The library's file; it is built on the first access and added to ``core``.

        Raises:
            MeasureError: the library can't be built.
        """
        found = build.library()
        self.core.add_extension(found)
        return found

    def choose(
        self, model: openvino.Model, inputs: Sequence[np.ndarray], options: SessionOptions
    ) -> dict[str, Setting]:
        """Layer name → kernel setting, of the layers that kernels compute; empty if kernels make nothing faster.

        Args:
            model: a graph as read from a file, with fixed sizes.
            inputs: inputs for timing.
            options: threads and batch of the runs.
        """
        prepared = model.clone()
        prepare(prepared)
        found = kernel_layers(prepared)
        if not found:
            return {}
        cache, key = ChoiceCache(self.library.parent / "choices.json"), _key(prepared, found, options)
        known = cache.get(key)
        if known is None:
            settings = self._timed(model, found, inputs, options)
            known = [asdict(settings[item.name]) if item.name in settings else None for item in found]
            cache.put(key, known)
        return {item.name: Setting(**value) for item, value in zip(found, known, strict=True) if value is not None}

    def replaced(self, model: openvino.Model, settings: Mapping[str, Setting]) -> openvino.Model:
        """The graph with the chosen layers replaced by kernels; ``model`` itself if there are none."""
        if not settings:
            return model
        prepared = model.clone()
        prepare(prepared)
        replace(prepared, settings, self.library)
        return prepared

    def _timed(
        self, model: openvino.Model, found: Sequence[KernelLayer], inputs: Sequence[np.ndarray], options: SessionOptions
    ) -> dict[str, Setting]:
        library, cache = Library(self.library), ChoiceCache(self.library.parent / "layers.json")
        dense_ms = self._dense_ms(model, inputs, options)
        timed = {item.name: fastest(item, library, cache) for item in found}
        hopeful = [item for item in found if timed[item.name].time_ms < _HOPELESS * dense_ms.get(item.name, np.inf)]
        if not hopeful:
            return {}

        def load(variant: Variant) -> Callable[[], int]:
            graph = self.replaced(model, {name: timed[name].setting for name in variant})
            request = self._request(graph, inputs, settings_of(options))
            return lambda: _run_ns(request)

        starts, flips = _starts(hopeful, timed, dense_ms), _flips(hopeful, timed, dense_ms)
        winner = Race(load, _BUDGET_NS).winner(starts, flips)
        _log.info("kernels compute %d of %d layers that they know", len(winner), len(found))
        chosen = {name: timed[name].setting for name in winner}
        self._check(model, chosen, inputs, options)
        return chosen

    def _check(
        self,
        model: openvino.Model,
        settings: Mapping[str, Setting],
        inputs: Sequence[np.ndarray],
        options: SessionOptions,
    ) -> None:
        """Check that the graph with kernels, which is timed, has the outputs of the unchanged graph, which is scored.

        Raises:
            MeasureError: the outputs differ by more than the tolerance.
        """
        graphs = (model, self.replaced(model, settings))
        expected, found = (self._request(graph, inputs, settings_of(options)).results for graph in graphs)
        for before, after in zip(expected.values(), found.values(), strict=True):
            difference = float(np.abs(after - before).max())
            if not difference <= _TOLERANCE * float(before.std() + np.abs(before).max()):
                raise MeasureError(
                    f"with native kernels the outputs differ by {difference:.3g} (spread {float(before.std()):.3g}); "
                    f"please report this with the file; {self.library} computes wrong outputs on this processor"
                )

    def _dense_ms(
        self, model: openvino.Model, inputs: Sequence[np.ndarray], options: SessionOptions
    ) -> dict[str, float]:
        """Node → mean milliseconds in the unchanged graph, summed over its threads."""
        request = self._request(model, inputs, profiling(settings_of(options)))
        until, runs = time.monotonic() + _PROFILED_S, 1
        while runs < _PROFILED_RUNS and time.monotonic() < until:
            request.infer(share_outputs=True)
            runs += 1
        means = {item.node_name: item.real_time.total_seconds() * 1e3 for item in request.get_profiling_info()}
        return {name: options.threads * mean_ms for name, mean_ms in means.items()}

    def _request(
        self, graph: openvino.Model, inputs: Sequence[np.ndarray], settings: dict[str, object]
    ) -> openvino.InferRequest:
        request, _ = filled(self.core.compile_model(graph, "CPU", settings), list(inputs))
        request.infer(share_outputs=True)
        return request


def _run_ns(request: openvino.InferRequest) -> int:
    start = time.perf_counter_ns()
    request.infer(share_outputs=True)
    return time.perf_counter_ns() - start


def _starts(found: Sequence[KernelLayer], timed: Mapping[str, Timed], dense_ms: Mapping[str, float]) -> list[Variant]:
    """Variants to start from.

    These are: all layers; sparse layers; sparse layers and depthwise layers of large images; layers whose kernel is
    faster in isolation; layers whose kernel is much faster in isolation.
    """
    return [
        frozenset(item.name for item in found),
        frozenset(item.name for item in found if item.kind == "sparse"),
        frozenset(item.name for item in found if item.kind == "sparse" or prod(item.input_shape) >= _LARGE),
        *(
            frozenset(item.name for item in found if timed[item.name].time_ms < share * dense_ms.get(item.name, np.inf))
            for share in (1.0, _CERTAIN)
        ),
    ]


def _flips(found: Sequence[KernelLayer], timed: Mapping[str, Timed], dense_ms: Mapping[str, float]) -> list[Variant]:
    """Groups of equal layers whose kernel may or may not help, in descending order of their time in the graph."""
    alike: dict[tuple[object, ...], list[str]] = defaultdict(list)
    for item in found:
        if timed[item.name].time_ms < _CERTAIN * dense_ms.get(item.name, 0.0):
            continue
        alike[item.kind, item.weight.shape, item.input_shape, item.stride, item.activation].append(item.name)
    groups = [frozenset(names) for names in alike.values()]
    return sorted(groups, key=lambda names: -sum(dense_ms.get(name, 0.0) for name in names))


def _key(model: openvino.Model, found: Sequence[KernelLayer], options: SessionOptions) -> str:
    """Cache key of a graph: a hash of operations, shapes, shares of zeros, and threads."""
    nodes = [node for node in model.get_ordered_ops() if node.get_type_name() != "Constant"]
    lines = [f"{node.get_type_name()} {[str(end.get_partial_shape()) for end in node.outputs()]}" for node in nodes]
    lines += [f"{item.kind} {item.weight.shape} {item.input_shape} {item.activation} {fills(item)}" for item in found]
    return hashlib.sha256("\n".join([*lines, f"{options.threads} {_VERSION}"]).encode()).hexdigest()
