"""ONNX Runtime on the processor."""

from __future__ import annotations

import resource
import time
from pathlib import Path

import numpy as np

from nas.errors import MeasureError
from nas.latency.memory import peak_growth
from nas.latency.runtimes import Burst, Runtime, Session, SessionOptions

try:
    import onnxruntime
except ImportError as error:
    raise MeasureError(f"the runtime onnxruntime can't be imported ({error}); pip install onnxruntime") from error

#: Element types an input can have → numpy's name.
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
#: Runs whose memory counts as the session's.
_FIRST_RUNS = 2
_WARNINGS_OFF = 3


class OnnxRuntime(Runtime):
    """Sequential execution on ``threads`` threads, every graph optimisation on, inputs and outputs bound."""

    formats = frozenset({"onnx"})

    def open(self, path: Path, options: SessionOptions) -> Session:
        """See ``Runtime.open``."""
        try:
            with peak_growth() as peak:
                session = onnxruntime.InferenceSession(
                    str(path), _settings(options), providers=["CPUExecutionProvider"]
                )
                binding = session.io_binding()
                for item in session.get_inputs():
                    binding.bind_cpu_input(item.name, _random(item, options.batch))
                for item in session.get_outputs():
                    binding.bind_output(item.name, "cpu")
                for _ in range(_FIRST_RUNS):
                    session.run_with_iobinding(binding)
        except MeasureError:
            raise
        except Exception as error:  # the runtime's own errors share no base
            raise MeasureError(f"ONNX Runtime can't run {path}: {error}") from error
        return _OnnxSession(session, binding, peak.growth_bytes)

    def version(self) -> str:
        """Version of the installed package."""
        return str(onnxruntime.__version__)


class _OnnxSession(Session):
    def __init__(
        self,
        session: onnxruntime.InferenceSession,
        binding: onnxruntime.IOBinding,
        peak_memory_bytes: int | None,
    ) -> None:
        self._session: onnxruntime.InferenceSession | None = session
        self._binding = binding
        self._peak_memory_bytes = peak_memory_bytes
        self._clock_ns = _clock_cost_ns()

    def burst(self, runs: int) -> Burst:
        if self._session is None:
            raise MeasureError("this session is closed; open the model again")
        run, binding, usage = self._session.run_with_iobinding, self._binding, resource.getrusage
        wall, process, switches = [], [], []
        try:
            for _ in range(runs):
                before = usage(resource.RUSAGE_SELF).ru_nivcsw
                process_start = time.process_time_ns()
                start = time.perf_counter_ns()
                run(binding)
                end = time.perf_counter_ns()
                process_end = time.process_time_ns()
                wall.append(end - start)
                process.append(max(1, process_end - process_start - self._clock_ns))
                switches.append(usage(resource.RUSAGE_SELF).ru_nivcsw - before)
        except Exception as error:  # the runtime's own errors share no base
            raise MeasureError(f"ONNX Runtime failed in a run: {error}") from error
        return Burst(tuple(wall), tuple(process), tuple(switches))

    def peak_memory_bytes(self) -> int | None:
        return self._peak_memory_bytes

    def close(self) -> None:
        self._session = None
        self._binding = None


def _settings(options: SessionOptions) -> onnxruntime.SessionOptions:
    settings = onnxruntime.SessionOptions()
    settings.intra_op_num_threads = options.threads
    settings.inter_op_num_threads = 1
    settings.execution_mode = onnxruntime.ExecutionMode.ORT_SEQUENTIAL
    settings.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_ALL
    settings.log_severity_level = _WARNINGS_OFF
    return settings


def _random(item: onnxruntime.NodeArg, batch: int) -> np.ndarray:
    """A fixed random input; the first dimension is the batch where it is symbolic."""
    if item.type not in _TYPES:
        raise MeasureError(f"input {item.name!r} is a {item.type}; measured are {', '.join(_TYPES)}")
    shape = [batch if not isinstance(size, int) and axis == 0 else size for axis, size in enumerate(item.shape)]
    if not all(isinstance(size, int) for size in shape):
        raise MeasureError(
            f"input {item.name!r} has the shape {item.shape}: only the batch, its first dimension, may be "
            "symbolic; export the model with fixed sizes"
        )
    dtype = np.dtype(_TYPES[item.type])
    generator = np.random.default_rng(0)
    if dtype.kind == "f":
        return generator.normal(size=shape).astype(dtype)
    return generator.integers(0, 2, size=shape).astype(dtype)


def _clock_cost_ns() -> int:
    """What reading the clocks adds to a processor time: a microsecond matters to a network of twenty."""
    costs = []
    for _ in range(50):
        start = time.process_time_ns()
        time.perf_counter_ns()
        time.perf_counter_ns()
        costs.append(time.process_time_ns() - start)
    return min(costs)
