"""Sessions and profiles of graphs that OpenVINO runs on the processor."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from nas.errors import MeasureError
from nas.latency.machine.peak_memory import peak_growth
from nas.latency.profiles import NodeTime, Profile, profile_runs
from nas.latency.runtimes import Burst, Session, SessionOptions
from nas.latency.runtimes.in_process import Clocks, as_only_input, random_input
from nas.latency.runtimes.openvino.quiet import openvino

#: Kinds of numpy types that an input can have: floating point, signed, unsigned, bool.
_KINDS = "fiub"
#: Number of times that a file is opened for a profile.
_OPENINGS = 3
#: Number of first runs whose memory counts as the session's.
_FIRST_RUNS = 2


def read(core: openvino.Core, path: Path, batch: int) -> tuple[openvino.Model, list[np.ndarray]]:
    """Read the graph of a file and fix its batch; returns it with random values for its inputs.

    Raises:
        MeasureError: the file can't be read, or an input can't be filled.
    """
    with _told(f"OpenVINO can't run {path}"):
        model = core.read_model(path)
        fixed = [_random(item, batch) for item in model.inputs]
        if model.is_dynamic():
            model.reshape({index: array.shape for index, array in enumerate(fixed)})
        return model, fixed


def settings_of(options: SessionOptions) -> dict[str, Any]:
    """Settings for latency: one stream with the options' threads, the file's precision, no cache on disk."""
    properties = openvino.properties
    return {
        properties.hint.performance_mode(): properties.hint.PerformanceMode.LATENCY,
        properties.hint.inference_precision(): openvino.Type.f32,
        properties.hint.enable_cpu_pinning(): False,
        properties.num_streams(): 1,
        properties.inference_num_threads(): options.threads,
        properties.cache_dir(): "",
    }


def profiling(settings: dict[str, Any]) -> dict[str, Any]:
    """``settings`` with the profiler on."""
    return {**settings, openvino.properties.enable_profiling(): True}


def open_session(path: Path, load: Callable[[], tuple[openvino.CompiledModel, list[np.ndarray]]]) -> Session:
    """Open a session.

    Args:
        path: the file, for messages.
        load: compiles a graph and returns it with the values of its inputs.

    Raises:
        MeasureError: ``load`` or a first run failed.
    """
    with _told(f"OpenVINO can't run {path}"), peak_growth() as peak:
        request, fixed = filled(*load())
        for _ in range(_FIRST_RUNS):
            request.infer(share_outputs=True)
    return _OpenVinoSession(request, fixed, peak.growth_bytes)


def profile(path: Path, load: Callable[[], tuple[openvino.CompiledModel, list[np.ndarray]]]) -> Profile:
    """Profile a graph in several openings; the fastest, least disturbed one counts.

    Times are means over all runs since the opening, including slow first runs, in whole microseconds.

    Args:
        path: the file, for messages.
        load: compiles a graph with the profiler on and returns it with the values of its inputs.

    Raises:
        MeasureError: ``load`` or a run failed.
    """
    with _told(f"OpenVINO can't profile {path}"):
        found = [_profiled(*filled(*load())) for _ in range(_OPENINGS)]
    return min(found, key=lambda profile: profile.run_ms)


def filled(compiled: openvino.CompiledModel, fixed: list[np.ndarray]) -> tuple[openvino.InferRequest, list[np.ndarray]]:
    """A request whose inputs are filled with ``fixed``, and ``fixed`` itself."""
    request = compiled.create_infer_request()
    _fill(request, fixed)
    return request, fixed


@contextmanager
def _told(what: str) -> Iterator[None]:
    try:
        yield
    except MeasureError:
        raise
    except Exception as error:  # the runtime's own errors share no base
        raise MeasureError(f"{what}: {error}") from error


def _profiled(request: openvino.InferRequest, fixed: list[np.ndarray]) -> Profile:
    request.infer(share_outputs=True)
    runs_ms = [request.latency]
    for _ in range(profile_runs(request.latency / 1e3)):
        request.infer(share_outputs=True)
        runs_ms.append(request.latency)
    return Profile(len(runs_ms), sum(runs_ms) / len(runs_ms), _executed(request))


class _OpenVinoSession(Session):
    def __init__(self, request: openvino.InferRequest, fixed: list[np.ndarray], peak_memory_bytes: int | None) -> None:
        self._request: openvino.InferRequest | None = request
        self._fixed = fixed
        self._peak_memory_bytes = peak_memory_bytes
        self._clocks = Clocks()

    @property
    def input_shape(self) -> tuple[int, ...]:
        return self._fixed[0].shape

    def burst(self, runs: int) -> Burst:
        request = self._opened()
        with _told("OpenVINO failed in a run"):
            # Shared outputs are views of the runtime's memory, so no time goes into copies.
            return self._clocks.burst(partial(request.infer, share_outputs=True), runs)

    def run(self, inputs: np.ndarray) -> np.ndarray:
        request = self._opened()
        array = as_only_input(inputs, self._fixed, len(request.model_outputs))
        try:
            with _told("OpenVINO failed in a run"):
                _fill(request, [array])
                request.infer(share_outputs=True)
                return np.array(request.get_output_tensor().data)
        finally:
            _fill(request, self._fixed)

    def peak_memory_bytes(self) -> int | None:
        return self._peak_memory_bytes

    def close(self) -> None:
        self._request = None

    def _opened(self) -> openvino.InferRequest:
        if self._request is None:
            raise MeasureError("this session is closed; open the model again")
        return self._request


def _executed(request: openvino.InferRequest) -> tuple[NodeTime, ...]:
    return tuple(
        NodeTime(item.node_name, item.node_type, item.real_time.total_seconds() * 1e3)
        for item in request.get_profiling_info()
        if item.status == openvino.ProfilingInfo.Status.EXECUTED
    )


def _random(item: openvino.Output, batch: int) -> np.ndarray:
    dtype = item.element_type.to_dtype()
    if dtype.kind not in _KINDS:
        raise MeasureError(
            f"input {item.any_name!r} has the type {dtype}; inputs can be numbers or bool: export the model with one "
            "of them"
        )
    sizes = [size.get_length() if size.is_static else None for size in item.partial_shape]
    return random_input(item.any_name, sizes, dtype, batch)


def _fill(request: openvino.InferRequest, arrays: list[np.ndarray]) -> None:
    for index, array in enumerate(arrays):
        request.get_input_tensor(index).data[...] = array
