"""Opens the OpenVINO files of an exported network. Needs numpy and openvino."""

import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np

sys.modules["openvino_telemetry"] = None  # type: ignore[assignment]  # importing openvino would report to its maker
import openvino


def open_network(folder: Path) -> tuple[Callable[[np.ndarray], np.ndarray], int | None]:
    """Return a function from inputs to outputs, and the number of inputs that it takes at once (None: any)."""
    core = openvino.Core()
    if (folder / "kernels.so").exists():
        core.add_extension(folder / "kernels.so")
    settings = {"INFERENCE_PRECISION_HINT": "f32", "PERFORMANCE_HINT": "LATENCY"}
    model = core.compile_model(folder / "model.xml", "CPU", settings)
    shape = model.inputs[0].partial_shape
    return lambda inputs: np.array(model(inputs)[0]), None if shape[0].is_dynamic else shape[0].get_length()
