"""ONNX Runtime on the processor."""

from __future__ import annotations

import resource
import time
from pathlib import Path

import numpy as np
import onnxruntime

from nas.errors import MeasureError
from nas.latency.memory import peak_growth
from nas.latency.runtimes import Burst, Runtime, Session, SessionOptions

_TYPES = {"tensor(float)": np.float32, "tensor(uint8)": np.uint8, "tensor(int64)": np.int64}
#: Runs whose memory counts as the session's.
_FIRST_RUNS = 2


class OnnxRuntime(Runtime):
    """Sequential execution on ``threads`` threads; every graph optimisation on."""

    formats = frozenset({"onnx"})

    def open(self, path: Path, options: SessionOptions) -> Session:
        """See ``Runtime.open``."""
        settings = onnxruntime.SessionOptions()
        settings.intra_op_num_threads = options.threads
        settings.inter_op_num_threads = 1
        settings.execution_mode = onnxruntime.ExecutionMode.ORT_SEQUENTIAL
        settings.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_ALL
        settings.log_severity_level = 3
        try:
            with peak_growth() as peak:
                session = onnxruntime.InferenceSession(
                    str(path), settings, providers=["CPUExecutionProvider"]
                )
                feed = {item.name: _random(item, options.batch) for item in session.get_inputs()}
                for _ in range(_FIRST_RUNS):
                    session.run(None, feed)
        except Exception as error:  # the runtime's own errors share no base
            raise MeasureError(f"ONNX Runtime can't run {path.name}: {error}") from error
        return _OnnxSession(session, feed, peak.growth_bytes)

    def version(self) -> str:
        """Version of the installed package."""
        return str(onnxruntime.__version__)


class _OnnxSession(Session):
    def __init__(
        self,
        session: onnxruntime.InferenceSession,
        feed: dict[str, np.ndarray],
        peak_memory_bytes: int | None,
    ) -> None:
        self._session: onnxruntime.InferenceSession | None = session
        self._feed = feed
        self._peak_memory_bytes = peak_memory_bytes

    def burst(self, runs: int) -> Burst:
        if self._session is None:
            raise MeasureError("this session is closed")
        run, feed = self._session.run, self._feed
        wall, process, switches = [], [], []
        for _ in range(runs):
            before = resource.getrusage(resource.RUSAGE_SELF).ru_nivcsw
            process_start = time.process_time_ns()
            start = time.perf_counter_ns()
            run(None, feed)
            end = time.perf_counter_ns()
            process.append(time.process_time_ns() - process_start)
            wall.append(end - start)
            switches.append(resource.getrusage(resource.RUSAGE_SELF).ru_nivcsw - before)
        return Burst(tuple(wall), tuple(process), tuple(switches))

    def peak_memory_bytes(self) -> int | None:
        return self._peak_memory_bytes

    def close(self) -> None:
        self._session = None


def _random(item: onnxruntime.NodeArg, batch: int) -> np.ndarray:
    """A fixed random input; the first symbolic dimension is the batch."""
    if item.type not in _TYPES:
        raise MeasureError(f"input {item.name!r} is a {item.type}; measured are {', '.join(_TYPES)}")
    shape = [batch if not isinstance(size, int) and axis == 0 else size for axis, size in enumerate(item.shape)]
    unknown = [size for size in shape if not isinstance(size, int)]
    if unknown:
        raise MeasureError(
            f"input {item.name!r} has the shape {item.shape}: only the batch may be symbolic; "
            "export the model with fixed sizes"
        )
    values = np.random.default_rng(0).normal(size=shape)
    return values.astype(_TYPES[item.type])
