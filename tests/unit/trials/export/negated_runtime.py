"""A runtime as a user may provide it, whose answers differ from the network's."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from nas.latency.runtimes import Burst, Runtime, Session, SessionOptions
from nas.latency.runtimes.onnxruntime import OnnxRuntime


class Negated(Runtime):
    """ONNX Runtime with the sign of every answer inverted."""

    formats = frozenset({"onnx"})
    precisions = frozenset({"int8", "fp32"})

    def open(self, path: Path, options: SessionOptions) -> Session:
        return _NegatedSession(OnnxRuntime().open(path, options))

    def version(self) -> str:
        return "1"


class _NegatedSession(Session):
    def __init__(self, session: Session) -> None:
        self._session = session

    @property
    def input_shape(self) -> tuple[int, ...]:
        return self._session.input_shape

    def run(self, inputs: np.ndarray) -> np.ndarray:
        return -self._session.run(inputs)

    def burst(self, runs: int) -> Burst:
        return self._session.burst(runs)

    def peak_memory_bytes(self) -> int | None:
        return self._session.peak_memory_bytes()

    def close(self) -> None:
        self._session.close()
