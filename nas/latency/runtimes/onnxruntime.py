"""ONNX Runtime, on the processor or on a device that it has a provider for."""

from __future__ import annotations

import json
import os
import time
import warnings
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from nas.errors import MeasureError, PlanError
from nas.latency.machine.peak_memory import peak_growth
from nas.latency.profiles import Profile, ProfiledRun, profile_runs, summarize
from nas.latency.runtimes import Burst, Runtime, Session, SessionOptions
from nas.latency.runtimes.in_process import Clocks, as_only_input, random_input
from nas.scratch import Scratch

# Set before the import that reads it: otherwise the package writes files to the home directory and sends telemetry.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
import onnxruntime

#: Element type of an input, in ONNX Runtime's words → numpy's name.
_TYPES = {
    "tensor(float)": "float32",
    "tensor(float16)": "float16",
    "tensor(double)": "float64",
    "tensor(uint8)": "uint8",
    "tensor(int8)": "int8",
    "tensor(int32)": "int32",
    "tensor(int64)": "int64",
    "tensor(bool)": "bool",
}
#: Parameter ``provider`` → ONNX Runtime's providers. CUDA runs the nodes that TensorRT can't run itself.
_PROVIDERS = {
    "cpu": ["CPUExecutionProvider"],
    "cuda": ["CUDAExecutionProvider"],
    "tensorrt": ["TensorrtExecutionProvider", "CUDAExecutionProvider"],
}
#: Number of first runs whose memory counts as the session's.
_FIRST_RUNS = 2
_WARNINGS_OFF = 3
#: End of the names of profiler events that time a node.
_KERNEL = "_kernel_time"


class OnnxRuntime(Runtime):
    """ONNX Runtime with all graph optimisations and with bound inputs and outputs.

    Execution is sequential, on ``threads`` threads. On a GPU, a run includes the copies to the GPU and back. Nothing
    falls back to the processor: a file that the provider can't run as a whole is refused.

    Args:
        provider: ``cpu``, or ``cuda`` or ``tensorrt`` if the installed build has it.
    """

    formats = frozenset({"onnx"})
    precisions = frozenset({"int4", "int8", "fp16", "fp32"})

    def __init__(self, provider: str = "cpu") -> None:
        if provider not in _PROVIDERS:
            raise PlanError(f"onnxruntime: provider {provider!r}; allowed: {', '.join(_PROVIDERS)}")
        self._providers = _PROVIDERS[provider]
        self.processor_time = provider == "cpu"
        built = onnxruntime.get_available_providers()
        if self._providers[0] not in built:
            raise MeasureError(
                f"onnxruntime: provider {provider!r} needs {self._providers[0]}, and the installed build has only "
                f"{', '.join(built)}; pip install onnxruntime-gpu in place of onnxruntime, or choose provider cpu"
            )

    def open(self, path: Path, options: SessionOptions) -> Session:
        """See ``Runtime.open``."""
        try:
            with peak_growth() as peak:
                session = self._session(path, options)
                fixed = {item.name: _random(item, options.batch) for item in session.get_inputs()}
                binding = session.io_binding()
                for name, array in fixed.items():
                    binding.bind_cpu_input(name, array)
                for item in session.get_outputs():
                    binding.bind_output(item.name, "cpu")
                for _ in range(_FIRST_RUNS):
                    session.run_with_iobinding(binding)
        except MeasureError:
            raise
        except Exception as error:  # the runtime's own errors share no base
            raise MeasureError(f"ONNX Runtime can't run {path}: {error}") from error
        peak_bytes = peak.growth_bytes if self.processor_time else None  # memory of a device is unknown
        return _OnnxSession(session, binding, fixed, peak_bytes, self.processor_time)

    def version(self) -> str:
        """Version of the installed package."""
        return str(onnxruntime.__version__)

    def profile(self, path: Path, options: SessionOptions) -> Profile:
        """See ``Runtime.profile``; times are whole microseconds."""
        with Scratch("nas-profile-") as folder:
            settings = _settings(options)
            settings.enable_profiling = True
            settings.profile_file_prefix = str(Path(folder) / "profile")
            try:
                session = onnxruntime.InferenceSession(str(path), settings, providers=self._providers)
                inputs = {item.name: _random(item, options.batch) for item in session.get_inputs()}
                started = time.perf_counter()
                session.run(None, inputs)
                for _ in range(profile_runs(time.perf_counter() - started)):
                    session.run(None, inputs)
                events = json.loads(Path(session.end_profiling()).read_text())
            except MeasureError:
                raise
            except Exception as error:  # the runtime's own errors share no base
                raise MeasureError(f"ONNX Runtime can't profile {path}: {error}") from error
        return summarize(list(_runs(events)))

    def _session(self, path: Path, options: SessionOptions) -> onnxruntime.InferenceSession:
        settings = _settings(options)
        if not self.processor_time:
            settings.add_session_config_entry("session.disable_cpu_ep_fallback", "1")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # a warning that a provider was left out, which is checked below
            session = onnxruntime.InferenceSession(str(path), settings, providers=self._providers)
        session.disable_fallback()
        # If TensorRT does not load, CUDA would run everything.
        if (first := session.get_providers()[0]) != self._providers[0]:
            raise MeasureError(
                f"ONNX Runtime runs {path} on {first}, not on {self._providers[0]}: the build has this provider, but "
                "it did not load; check that its libraries (CUDA, cuDNN, TensorRT) have the versions it needs"
            )
        return session


class _OnnxSession(Session):
    def __init__(
        self,
        session: onnxruntime.InferenceSession,
        binding: onnxruntime.IOBinding,
        fixed: dict[str, np.ndarray],
        peak_memory_bytes: int | None,
        processor_time: bool,
    ) -> None:
        self._session: onnxruntime.InferenceSession | None = session
        self._binding = binding
        self._fixed = fixed
        self._peak_memory_bytes = peak_memory_bytes
        self._clocks = Clocks(processor_time=processor_time)

    @property
    def input_shape(self) -> tuple[int, ...]:
        return next(iter(self._fixed.values())).shape

    def burst(self, runs: int) -> Burst:
        session = self._opened()
        try:
            return self._clocks.burst(partial(session.run_with_iobinding, self._binding), runs)
        except Exception as error:  # the runtime's own errors share no base
            raise MeasureError(f"ONNX Runtime failed in a run: {error}") from error

    def run(self, inputs: np.ndarray) -> np.ndarray:
        session = self._opened()
        array = as_only_input(inputs, list(self._fixed.values()), len(session.get_outputs()))
        try:
            (output,) = session.run(None, dict.fromkeys(self._fixed, array))
        except Exception as error:  # the runtime's own errors share no base
            raise MeasureError(f"ONNX Runtime failed in a run: {error}") from error
        return np.asarray(output)

    def peak_memory_bytes(self) -> int | None:
        return self._peak_memory_bytes

    def close(self) -> None:
        self._session = None
        self._binding = None

    def _opened(self) -> onnxruntime.InferenceSession:
        if self._session is None:
            raise MeasureError("this session is closed; open the model again")
        return self._session


def _runs(events: list[dict[str, Any]]) -> Iterator[ProfiledRun]:
    """Group profiler events by run: the events of a run's nodes come first, then the event of the run itself."""
    nodes: list[tuple[str, str, float]] = []
    for event in events:
        if event["cat"] == "Node" and event["name"].endswith(_KERNEL):
            nodes.append((event["name"].removesuffix(_KERNEL), event["args"]["op_name"], event["dur"] / 1e3))
        elif event["name"] == "model_run":
            yield ProfiledRun(event["dur"] / 1e3, nodes)
            nodes = []


def _settings(options: SessionOptions) -> onnxruntime.SessionOptions:
    settings = onnxruntime.SessionOptions()
    settings.intra_op_num_threads = options.threads
    settings.inter_op_num_threads = 1
    settings.execution_mode = onnxruntime.ExecutionMode.ORT_SEQUENTIAL
    settings.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_ALL
    settings.log_severity_level = _WARNINGS_OFF
    return settings


def _random(item: onnxruntime.NodeArg, batch: int) -> np.ndarray:
    if item.type not in _TYPES:
        raise MeasureError(
            f"input {item.name!r} has the type {item.type}; inputs can be {', '.join(_TYPES)}: export the model with "
            "one of them"
        )
    return random_input(item.name, item.shape, np.dtype(_TYPES[item.type]), batch)
