"""What a deployed file answers, over a whole split."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
from torch.utils.data import DataLoader, Dataset

from nas.export.onnx_graph import INPUT

BATCH = 64


def deployed_outputs(path: Path, dataset: Dataset[Any], *, threads: int = 1) -> tuple[np.ndarray, np.ndarray]:
    """Outputs ``(M, …)`` and targets ``(M, …)`` of an ONNX file over a data set, in its order.

    The file runs as it is, integers and all, with its batch left open.
    """
    settings = onnxruntime.SessionOptions()
    settings.intra_op_num_threads = threads
    settings.log_severity_level = 3
    session = onnxruntime.InferenceSession(_any_batch(path), settings, providers=["CPUExecutionProvider"])
    outputs, targets = [], []
    for inputs, answers in DataLoader(dataset, batch_size=BATCH):
        outputs.append(session.run(None, {INPUT: inputs.numpy()})[0])
        targets.append(answers.numpy())
    return np.concatenate(outputs), np.concatenate(targets)


def _any_batch(path: Path) -> bytes:
    """The model with a symbolic batch: everything in it that could depend on the batch leaves it open."""
    model = onnx.load(str(path))
    for value in (*model.graph.input, *model.graph.output):
        value.type.tensor_type.shape.dim[0].dim_param = "batch"
    return bytes(model.SerializeToString())
