"""Outputs of a torch network for a whole data set."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.utils.data import Dataset

from nas.estimators.batches import in_order

BATCH = 256


def outputs(
    model: nn.Module,
    dataset: Dataset[Any],
    *,
    batch_size: int = BATCH,
    device: torch.device | None = None,
    num_workers: int = 0,
    precision: AbstractContextManager[Any] | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """Outputs ``(M, …)`` float32 and targets ``(M, …)`` of all items, in the order of the data.

    ``model`` must be on ``device``, by default the CPU; ``precision`` is the autocast context to use. The model runs in
    evaluation mode, and its mode is restored.
    """
    device = device or torch.device("cpu")
    was_training = model.training
    answers, targets = [], []
    model.eval()
    try:
        with torch.no_grad(), precision or nullcontext():
            for inputs, target in in_order(dataset, batch_size, num_workers):
                answers.append(model(inputs.to(device)).float().cpu().numpy())
                targets.append(target.numpy())
    finally:
        model.train(was_training)
    return np.concatenate(answers), np.concatenate(targets)
