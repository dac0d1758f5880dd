"""Opens the network that was measured, with its kernels. Needs numpy and the openvino of ``requirements.txt``."""

import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np

sys.modules["openvino_telemetry"] = None  # type: ignore[assignment]  # importing openvino would report to its maker
import openvino

#: The runtime and its version.
RUNTIME = "openvino", openvino.__version__.partition("-")[0]


def open_network(folder: Path, threads: int = 0) -> Callable[[np.ndarray], np.ndarray]:
    """Return a function from one batch of inputs to outputs; 0 threads leave the number to the runtime."""
    settings = {"INFERENCE_PRECISION_HINT": "f32", "PERFORMANCE_HINT": "LATENCY", "INFERENCE_NUM_THREADS": threads}
    core = openvino.Core()
    core.add_extension(folder / "kernels.so")
    model = core.compile_model(folder / "kernels.xml", "CPU", settings)
    return lambda inputs: np.array(model(inputs)[0])
