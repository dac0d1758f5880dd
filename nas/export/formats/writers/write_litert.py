"""Writes ``model.tflite`` from ``model.py``: python write_litert.py SIZE …, in an environment with litert-torch."""

import sys

import litert_torch
import model
import torch

sample = torch.zeros([int(size) for size in sys.argv[1:]])
litert_torch.convert(model.load(), (sample,)).export("model.tflite")
