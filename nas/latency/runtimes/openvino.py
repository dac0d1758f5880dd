"""OpenVINO on the processor."""

from __future__ import annotations

import sys
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from nas.errors import MeasureError
from nas.latency.memory import peak_growth
from nas.latency.profiles import NodeTime, Profile, profile_runs
from nas.latency.runtimes import Burst, Runtime, Session, SessionOptions
from nas.latency.runtimes.in_process import Clocks, as_only_input, random_input

#: Importing openvino imports this, makes a file in the home directory and reports to the maker's servers;
#: without it, it does neither.
_TELEMETRY = "openvino_telemetry"

try:
    sys.modules.setdefault(_TELEMETRY, None)  # type: ignore[arg-type]  # None: an import of it fails
    import openvino
    from openvino.properties import cache_dir, enable_profiling, hint, inference_num_threads, num_streams
except ImportError as error:
    raise MeasureError(
        f"the runtime openvino can't be imported ({error}); pip install 'measured-nas[openvino]'"
    ) from error
finally:
    if sys.modules.get(_TELEMETRY) is None:
        sys.modules.pop(_TELEMETRY, None)

#: Kinds of numpy types an input can have: floating point, signed, unsigned, bool.
_KINDS = "fiub"
#: Times a file is opened for a profile.
_OPENINGS = 3
#: Runs whose memory counts as the session's.
_FIRST_RUNS = 2


class OpenVino(Runtime):
    """The CPU plugin: one stream of ``threads`` threads, for latency, in the precision the file has.

    Where the file says 32 bits it computes with 32 bits, also on processors with bfloat16; 8 bits stay 8
    bits. Nothing is cached on disk. Threads are bound to cores by whoever measures.
    """

    formats = frozenset({"onnx"})
    precisions = frozenset({"int4", "int8", "fp16", "fp32"})

    def __init__(self) -> None:
        self._core = openvino.Core()

    def open(self, path: Path, options: SessionOptions) -> Session:
        """See ``Runtime.open``."""
        try:
            with peak_growth() as peak:
                request, fixed = self._request(path, options, _settings(options))
                for _ in range(_FIRST_RUNS):
                    request.infer(share_outputs=True)
        except MeasureError:
            raise
        except Exception as error:  # the runtime's own errors share no base
            raise MeasureError(f"OpenVINO can't run {path}: {error}") from error
        return _OpenVinoSession(request, fixed, peak.growth_bytes)

    def version(self) -> str:
        """Version of the installed package."""
        return str(openvino.__version__).partition("-")[0]

    def profile(self, path: Path, options: SessionOptions) -> Profile:
        """See ``Runtime.profile``; what was fused into another node has no time of its own.

        Times are whole microseconds, means of all runs since the file was opened, the slow first ones among them. Of
        several openings the one that was disturbed least counts.
        """
        try:
            found = [self._profiled(path, options) for _ in range(_OPENINGS)]
        except MeasureError:
            raise
        except Exception as error:  # the runtime's own errors share no base
            raise MeasureError(f"OpenVINO can't profile {path}: {error}") from error
        return min(found, key=lambda profile: profile.run_ms)

    def _profiled(self, path: Path, options: SessionOptions) -> Profile:
        request, _ = self._request(path, options, {**_settings(options), enable_profiling(): True})
        request.infer(share_outputs=True)
        runs_ms = [request.latency]
        for _ in range(profile_runs(request.latency / 1e3)):
            request.infer(share_outputs=True)
            runs_ms.append(request.latency)
        return Profile(len(runs_ms), sum(runs_ms) / len(runs_ms), _executed(request))

    def _request(
        self, path: Path, options: SessionOptions, settings: dict[str, Any]
    ) -> tuple[openvino.InferRequest, list[np.ndarray]]:
        """A request whose inputs are filled, and what with."""
        model = self._core.read_model(path)
        fixed = [_random(item, options.batch) for item in model.inputs]
        if model.is_dynamic():
            model.reshape({index: array.shape for index, array in enumerate(fixed)})
        request = self._core.compile_model(model, "CPU", settings).create_infer_request()
        _fill(request, fixed)
        return request, fixed


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
        try:
            # Shared outputs are those of the runtime, not copies of them.
            return self._clocks.burst(partial(request.infer, share_outputs=True), runs)
        except Exception as error:  # the runtime's own errors share no base
            raise MeasureError(f"OpenVINO failed in a run: {error}") from error

    def run(self, inputs: np.ndarray) -> np.ndarray:
        request = self._opened()
        array = as_only_input(inputs, self._fixed, len(request.model_outputs))
        try:
            _fill(request, [array])
            request.infer(share_outputs=True)
            return np.array(request.get_output_tensor().data)
        except Exception as error:  # the runtime's own errors share no base
            raise MeasureError(f"OpenVINO failed in a run: {error}") from error
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


def _settings(options: SessionOptions) -> dict[str, Any]:
    return {
        hint.performance_mode(): hint.PerformanceMode.LATENCY,
        hint.inference_precision(): openvino.Type.f32,
        hint.enable_cpu_pinning(): False,
        num_streams(): 1,
        inference_num_threads(): options.threads,
        cache_dir(): "",
    }


def _random(item: openvino.Output, batch: int) -> np.ndarray:
    dtype = item.element_type.to_dtype()
    if dtype.kind not in _KINDS:
        raise MeasureError(f"input {item.any_name!r} is a {dtype}; measured are numbers and bool")
    sizes = [size.get_length() if size.is_static else None for size in item.partial_shape]
    return random_input(item.any_name, sizes, dtype, batch)


def _fill(request: openvino.InferRequest, arrays: list[np.ndarray]) -> None:
    for index, array in enumerate(arrays):
        request.get_input_tensor(index).data[...] = array
