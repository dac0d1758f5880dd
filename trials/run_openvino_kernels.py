"""Run the exported network: python run.py [inputs.npy]. Needs numpy and the openvino that report.md names."""

import sys
from pathlib import Path

import numpy as np

sys.modules["openvino_telemetry"] = None  # type: ignore[assignment]  # importing openvino would report to its maker
import openvino

folder = Path(__file__).parent
settings = {"INFERENCE_PRECISION_HINT": "f32", "PERFORMANCE_HINT": "LATENCY"}
core = openvino.Core()
core.add_extension(folder / "kernels.so")
model = core.compile_model(folder / "kernels.xml", "CPU", settings)
batch = model.inputs[0].shape[0]
if len(sys.argv) > 1:
    inputs, targets = np.load(sys.argv[1]).astype(np.float32), None
else:
    samples = np.load(folder / "samples.npz")
    inputs, targets = samples["inputs"], samples["targets"]
usable = len(inputs) // batch * batch
outputs = [model(part)[0] for part in np.split(inputs[:usable], usable // batch)]
answers = np.concatenate(outputs).argmax(axis=1)
print("answers:", answers.tolist())
if targets is not None:
    print("right:  ", float((answers == targets[:usable]).mean()))
