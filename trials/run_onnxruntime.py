"""Run the exported network: python run.py [inputs.npy]. Needs numpy and onnxruntime."""

import os
import sys
from pathlib import Path

import numpy as np

os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
import onnxruntime

folder = Path(__file__).parent
session = onnxruntime.InferenceSession(str(folder / "model.onnx"), providers=["CPUExecutionProvider"])
batch = session.get_inputs()[0].shape[0]
if len(sys.argv) > 1:
    inputs, targets = np.load(sys.argv[1]).astype(np.float32), None
else:
    samples = np.load(folder / "samples.npz")
    inputs, targets = samples["inputs"], samples["targets"]
usable = len(inputs) // batch * batch
outputs = [session.run(None, {"input": part})[0] for part in np.split(inputs[:usable], usable // batch)]
answers = np.concatenate(outputs).argmax(axis=1)
print("answers:", answers.tolist())
if targets is not None:
    print("right:  ", float((answers == targets[:usable]).mean()))
