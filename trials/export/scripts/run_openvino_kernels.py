"""Run the exported network: python run.py [inputs.npy]. Needs numpy and the openvino that report.md names."""

import sys
from pathlib import Path

sys.modules["openvino_telemetry"] = None  # type: ignore[assignment]  # importing openvino would report to its maker
import openvino

from trials.export.scripts.answers import answer

folder = Path(__file__).parent
settings = {"INFERENCE_PRECISION_HINT": "f32", "PERFORMANCE_HINT": "LATENCY"}
core = openvino.Core()
core.add_extension(folder / "kernels.so")
model = core.compile_model(folder / "kernels.xml", "CPU", settings)
answer(lambda part: model(part)[0], tuple(model.inputs[0].shape), folder)
