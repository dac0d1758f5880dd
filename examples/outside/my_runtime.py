"""A runtime of your own: ONNX's reference implementation in numpy, which is slow and runs on every machine."""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np
import onnx
from onnx.reference import ReferenceEvaluator

from nas.errors import MeasureError
from nas.latency.runtimes import Burst, Runtime, Session, SessionOptions


class OnnxReference(Runtime):
    """Runs a model node by node in numpy, with one thread and with the model's own batch size."""

    formats = frozenset({"onnx"})
    precisions = frozenset({"int8", "fp16", "fp32"})

    def open(self, path: Path, options: SessionOptions) -> Session:
        """See ``Runtime.open``."""
        try:
            model = onnx.load(path)
            onnx.checker.check_model(model)  # an empty file parses as a model without anything
            return _ReferenceSession(model, options.batch)
        except Exception as error:  # a missing file, another format, an op without reference
            raise MeasureError(f"onnx.reference can't open {path}: {error}") from error

    def version(self) -> str:
        """The version of the package onnx."""
        return str(onnx.__version__)


class _ReferenceSession(Session):
    def __init__(self, model: onnx.ModelProto, batch: int) -> None:
        random = np.random.default_rng(0)
        self._evaluator: ReferenceEvaluator | None = ReferenceEvaluator(model)
        self._inputs = {
            item.name: random.normal(size=_shape(item, batch)).astype(np.float32) for item in model.graph.input
        }

    @property
    def input_shape(self) -> tuple[int, ...]:
        return next(iter(self._inputs.values())).shape

    def burst(self, runs: int) -> Burst:
        wall, process = [], []
        for _ in range(runs):
            process_start, start = time.process_time_ns(), time.perf_counter_ns()
            self._outputs(self._inputs)
            wall.append(time.perf_counter_ns() - start)
            process.append(max(1, time.process_time_ns() - process_start))
        return Burst(tuple(wall), tuple(process))

    def run(self, inputs: np.ndarray) -> np.ndarray:
        if len(self._inputs) != 1 or inputs.shape != self.input_shape:
            raise MeasureError(f"inputs of shape {inputs.shape}; this session runs one of {self.input_shape}")
        (output,) = self._outputs(dict.fromkeys(self._inputs, inputs))
        return np.asarray(output)

    def peak_memory_bytes(self) -> int | None:
        return None

    def close(self) -> None:
        self._evaluator = None

    def _outputs(self, inputs: dict[str, np.ndarray]) -> list[np.ndarray]:
        if self._evaluator is None:
            raise MeasureError("this session is closed; open the model again")
        return self._evaluator.run(None, inputs)


def _shape(item: onnx.ValueInfoProto, batch: int) -> list[int]:
    return [size.dim_value or batch for size in item.type.tensor_type.shape.dim]
