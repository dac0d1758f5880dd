"""Opens the network that was measured. Needs numpy and onnxruntime."""

import os
from collections.abc import Callable
from pathlib import Path

import numpy as np

os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
import onnxruntime

#: The runtime and its version.
RUNTIME = "onnxruntime", onnxruntime.__version__


def open_network(folder: Path, threads: int = 0) -> Callable[[np.ndarray], np.ndarray]:
    """Return a function from one batch of inputs to outputs; 0 threads leave the number to the runtime."""
    settings = onnxruntime.SessionOptions()
    settings.intra_op_num_threads = threads
    settings.log_severity_level = 3
    path = str(folder / "model.onnx")
    session = onnxruntime.InferenceSession(path, settings, providers=["CPUExecutionProvider"])
    return lambda inputs: session.run(None, {"input": inputs})[0]
