"""Chooses which layers of a graph the kernels compute, by timing on this machine; remembers what it chose."""

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

#: A kernel that is so many times slower than OpenVINO's own is not tried, whatever it would save its neighbours.
_HOPELESS = 3.0
#: Numbers of an image that is large for a cache: what computes it together with its neighbours saves most.
_LARGE = 1 << 16
#: One that takes less than that of OpenVINO's own is not doubted, whatever reorders it would cost.
_CERTAIN = 0.4
#: Runs of the untouched graph that tell where its time goes, as far as they fit into so many seconds.
_PROFILED_RUNS, _PROFILED_S = 40, 0.3
#: Largest difference of outputs, over their spread and size together.
_TOLERANCE = 1e-3
#: Time for runs of whole graphs.
_BUDGET_NS = 2_000_000_000
#: Raised with every change of how is chosen: what was chosen otherwise is forgotten.
_VERSION = 4
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class KernelChooser:
    """Lets kernels compute what makes a whole graph faster.

    What it finds out is kept beside the library, and so holds for this processor, OpenVINO and these kernels.

    Args:
        core: what compiles the graphs.
    """

    core: openvino.Core

    @cached_property
    def library(self) -> Path:
        """The library's file, built for the first graph that has use for it; from then on ``core`` knows it.

        Raises:
            MeasureError: it can't be built.
        """
        found = build.library()
        self.core.add_extension(found)
        return found

    def choose(
        self, model: openvino.Model, inputs: Sequence[np.ndarray], options: SessionOptions
    ) -> dict[str, Setting]:
        """Layers of a graph, and how kernels compute them; none where that gains nothing.

        Args:
            model: as read from a file, its sizes fixed.
            inputs: what it is timed with.
            options: how it is run.
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
        """The graph with what was chosen; as it is where nothing was."""
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
        """Candidates are scored on the untouched graph: what is timed must answer the same.

        Raises:
            MeasureError: it does not.
        """
        graphs = (model, self.replaced(model, settings))
        expected, found = (self._request(graph, inputs, settings_of(options)).results for graph in graphs)
        for before, after in zip(expected.values(), found.values(), strict=True):
            difference = float(np.abs(after - before).max())
            if not difference <= _TOLERANCE * float(before.std() + np.abs(before).max()):
                raise MeasureError(
                    f"with native kernels the outputs differ by {difference:.3g} (spread {float(before.std()):.3g}); "
                    f"please report this with the file; {self.library} computes something else on this processor"
                )

    def _dense_ms(
        self, model: openvino.Model, inputs: Sequence[np.ndarray], options: SessionOptions
    ) -> dict[str, float]:
        """Mean milliseconds by node of the untouched graph, of all its threads together."""
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
    """All layers; sparse ones; those and depthwise ones of large images; those whose kernel alone gains; gains much."""
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
    """Layers in doubt, those that are alike together; those first where more time goes."""
    alike: dict[tuple[object, ...], list[str]] = defaultdict(list)
    for item in found:
        if timed[item.name].time_ms < _CERTAIN * dense_ms.get(item.name, 0.0):
            continue
        alike[item.kind, item.weight.shape, item.input_shape, item.stride, item.activation].append(item.name)
    groups = [frozenset(names) for names in alike.values()]
    return sorted(groups, key=lambda names: -sum(dense_ms.get(name, 0.0) for name in names))


def _key(model: openvino.Model, found: Sequence[KernelLayer], options: SessionOptions) -> str:
    """Of what the fastest variant depends on: operations, shapes, zeros, threads."""
    nodes = [node for node in model.get_ordered_ops() if node.get_type_name() != "Constant"]
    lines = [f"{node.get_type_name()} {[str(end.get_partial_shape()) for end in node.outputs()]}" for node in nodes]
    lines += [f"{item.kind} {item.weight.shape} {item.input_shape} {item.activation} {fills(item)}" for item in found]
    return hashlib.sha256("\n".join([*lines, f"{options.threads} {_VERSION}"]).encode()).hexdigest()
