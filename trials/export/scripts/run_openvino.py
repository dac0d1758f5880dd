"""Run the exported network: python run.py [inputs.npy]. Needs numpy and openvino."""

import sys
from pathlib import Path

sys.modules["openvino_telemetry"] = None  # type: ignore[assignment]  # importing openvino would report to its maker
import openvino

from trials.export.scripts.answers import answer

folder = Path(__file__).parent
settings = {"INFERENCE_PRECISION_HINT": "f32", "PERFORMANCE_HINT": "LATENCY"}
model = openvino.Core().compile_model(str(folder / "model.onnx"), "CPU", settings)
answer(lambda part: model(part)[0], tuple(model.inputs[0].shape), folder)
