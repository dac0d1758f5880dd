"""Opens ONNX Runtime's package of an exported network. Needs numpy and onnxruntime."""

import os
from collections.abc import Callable
from pathlib import Path

import numpy as np

os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
import onnxruntime


def open_network(folder: Path) -> tuple[Callable[[np.ndarray], np.ndarray], int | None]:
    """Return a function from inputs to outputs, and the number of inputs that it takes at once (None: any)."""
    package = onnxruntime.ModelPackageContext(str(folder / "model.ortpackage"))
    options = onnxruntime.ModelPackageOptions(onnxruntime.SessionOptions())
    session = package.select_component("network", options).create_session()
    batch = session.get_inputs()[0].shape[0]
    return lambda inputs: session.run(None, {"input": inputs})[0], batch if isinstance(batch, int) else None
