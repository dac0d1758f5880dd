"""Run the exported network: python run.py [inputs.npy]. Needs numpy and onnxruntime."""

import os
from pathlib import Path

os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
import onnxruntime

from trials.export.scripts.answers import answer

folder = Path(__file__).parent
session = onnxruntime.InferenceSession(str(folder / "model.onnx"), providers=["CPUExecutionProvider"])
answer(lambda part: session.run(None, {"input": part})[0], session.get_inputs()[0].shape, folder)
