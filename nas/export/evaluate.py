"""What a deployed file answers to a whole data set."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import torch
from torch.utils.data import DataLoader, Dataset

from nas.errors import ExportError


def deployed_outputs(
    path: Path, dataset: Dataset[Any], *, batch_size: int = 64, threads: int = 1
) -> tuple[np.ndarray, np.ndarray]:
    """``(outputs, targets)`` of the ONNX file over ``dataset``, first dimension its length, in its order.

    The file runs as it ships: at its own batch, the last one filled up and cut.

    Args:
        path: the file.
        dataset: map-style, items ``(input (C, H, W), target)``.
        batch_size: of reading; also of running, where the file's batch is free.
        threads: of the session.

    Raises:
        ExportError: an empty data set, or a file that can't be opened or run.
    """
    try:
        session = open_session(path, threads)
        outputs, targets = [], []
        for inputs, answers in DataLoader(dataset, batch_size=batch_size):
            outputs += list(run_batches(session, [inputs.numpy()]))
            targets.append(torch.as_tensor(answers).numpy())
    except Exception as error:  # onnxruntime raises exceptions of its own without a common class
        raise ExportError(f"{path.name} can't be evaluated: {error}") from error
    if not outputs:
        raise ExportError("the data set is empty; nothing to evaluate")
    return np.concatenate(outputs), np.concatenate(targets)


def open_session(path: Path | bytes, threads: int = 1) -> Any:
    """A session of ONNX Runtime on the processor, as latencies are measured on."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    source = path if isinstance(path, bytes) else str(path)
    return onnxruntime.InferenceSession(source, options, providers=["CPUExecutionProvider"])


def run_batches(session: Any, inputs: Iterable[np.ndarray]) -> Iterator[np.ndarray]:
    """Outputs for arrays ``(M, C, H, W)`` of any M, run in batches of the file's own size."""
    (description,) = session.get_inputs()
    batch = description.shape[0]
    for array in inputs:
        size = batch if isinstance(batch, int) else max(len(array), 1)
        parts = []
        for start in range(0, len(array), size):
            part = np.ascontiguousarray(array[start : start + size], dtype=np.float32)
            missing = size - len(part)
            if missing:
                part = np.concatenate([part, np.repeat(part[-1:], missing, axis=0)])
            (output,) = session.run(None, {description.name: part})
            parts.append(output[: size - missing] if missing else output)
        yield np.concatenate(parts)
