"""Shared part of image classification tasks: head, loss, accuracy, and summary of the data."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
from torch import nn
from torch.nn import functional

from nas.errors import TaskError
from nas.tasks import SPLITS, DataSummary, Metric, Task
from nas.tasks.images import StackedImages
from nas.tasks.per_class import recall_names

if TYPE_CHECKING:
    from torch import Tensor


class Classification(Task):
    """A task with one class per image; ``accuracy`` is the share of correct images."""

    metrics: tuple[Metric, ...] = (Metric("accuracy", "maximize", proportion=True),)

    @property
    def class_names(self) -> tuple[str, ...]:
        """Names of the classes; their numbers if they have no names."""
        return tuple(map(str, range(self.num_outputs)))

    @property
    def class_metrics(self) -> tuple[Metric, ...]:
        """``recall_of_<class>``, the share of a class's examples that are correct, for each class."""
        return tuple(Metric(name, "maximize", proportion=True) for name in recall_names(self.class_names))

    def summary(self) -> DataSummary | None:
        """See ``Task.summary``; None unless all splits are in memory."""
        data = {split: self.dataset(split) for split in SPLITS}
        counts = {
            split: np.bincount(found.targets.numpy(), minlength=self.num_outputs).tolist()
            for split, found in data.items()
            if isinstance(found, StackedImages)
        }
        return DataSummary(self.class_names, counts) if len(counts) == len(data) else None

    @property
    def supports_mixup(self) -> bool:
        """True: classes can be mixed."""
        return True

    def head(self, num_features: int, reduction: int, *, pool: str = "avg", dropout: float = 0.0) -> nn.Module:
        """Global pooling, dropout and a linear layer: ``(N, num_features, h, w)`` → ``(N, num_outputs)``.

        Raises:
            TaskError: ``pool`` is neither ``"avg"`` nor ``"max"``.
        """
        pooling = {"avg": nn.AdaptiveAvgPool2d, "max": nn.AdaptiveMaxPool2d}.get(pool)
        if pooling is None:
            raise TaskError(f"head: pool {pool!r}; allowed: avg, max")
        return nn.Sequential(pooling(1), nn.Flatten(), nn.Dropout(dropout), nn.Linear(num_features, self.num_outputs))

    def loss(self, outputs: Tensor, targets: Tensor, *, label_smoothing: float = 0.0) -> Tensor:
        """Cross-entropy with class indices ``(N,)`` or soft targets ``(N, num_outputs)``."""
        return functional.cross_entropy(outputs, targets, label_smoothing=label_smoothing)

    def score(self, outputs: np.ndarray, targets: np.ndarray) -> Mapping[str, float]:
        """``accuracy`` of logits ``(M, num_outputs)`` against classes ``(M,)``."""
        return {"accuracy": float((outputs.argmax(axis=1) == targets).mean())}
