"""The outputs of a deployed file for a whole data set."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.utils.data import DataLoader, Dataset

from nas.errors import ExportError, MeasureError
from nas.latency.runtimes import RUNTIMES, Session, SessionOptions


def deployed_outputs(
    path: Path, dataset: Dataset[Any], *, runtime: str, batch_size: int = 64, threads: int = 1
) -> tuple[np.ndarray, np.ndarray]:
    """Outputs of the file and targets for all items of ``dataset``, in its order.

    The file runs as it ships, in the runtime it is for and with its own batch size. The last batch is filled up, and
    the additional outputs are dropped.

    Args:
        path: the file.
        dataset: a map-style data set with items ``(input (C, H, W), target)``.
        runtime: name of the runtime that runs the file.
        batch_size: number of items that are read at once; also the batch size if the file has none of its own.
        threads: number of threads of the session.

    Raises:
        ExportError: the data set is empty, or the file can't be opened or run.
    """
    outputs, targets = [], []
    try:
        options = SessionOptions(threads=threads, batch=batch_size)
        with closing(RUNTIMES.get(runtime)().open(path, options)) as session:
            for inputs, answers in DataLoader(dataset, batch_size=batch_size):
                outputs.append(run_batches(session, inputs.numpy()))
                targets.append(torch.as_tensor(answers).numpy())
    except MeasureError as error:
        raise ExportError(f"{path.name} can't be evaluated: {error}") from error
    if not outputs:
        raise ExportError("the data set is empty; nothing to evaluate")
    return np.concatenate(outputs), np.concatenate(targets)


def run_batches(session: Session, inputs: np.ndarray) -> np.ndarray:
    """Outputs for inputs ``(M, C, H, W)`` with any M, computed in batches of the session's own size."""
    size = session.input_shape[0]
    parts = []
    for start in range(0, len(inputs), size):
        part = inputs[start : start + size]
        filling = np.repeat(part[-1:], size - len(part), axis=0)
        parts.append(session.run(np.concatenate([part, filling]))[: len(part)])
    return np.concatenate(parts)
