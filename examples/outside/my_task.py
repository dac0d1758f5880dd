"""A task of your own: which of three interleaved spirals does a point belong to?"""

from __future__ import annotations

import hashlib
import zlib
from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset, TensorDataset

from nas.errors import TaskError
from nas.tasks import Metric, Split
from nas.tasks.classification import Classification

SIZES: dict[Split, int] = {"train": 1200, "validation": 600, "test": 600}


class Spirals(Classification):
    """Three classes of points of the plane; an input is ``(2, 1, 1)``, an image of one pixel.

    Beside ``accuracy`` it scores ``worst_class``, the accuracy on the worst class; a plan can make
    either of them an objective or a limit.

    Args:
        turns: number of turns of a spiral, 0.5 to 3; more turns are harder.
        noise: standard deviation of a point from its spiral.
        seed: seed of the points.
    """

    input_shape = (2, 1, 1)
    num_outputs = 3
    metrics = (Metric("accuracy", "maximize"), Metric("worst_class", "maximize"))

    def __init__(self, turns: float = 1.5, noise: float = 0.03, seed: int = 0) -> None:
        if not 0.5 <= turns <= 3:
            raise TaskError(f"Spirals: turns {turns!r}; allowed: 0.5 to 3")
        self._turns, self._noise, self._seed = turns, noise, seed

    def dataset(self, split: Split, *, augment: bool = False) -> Dataset[tuple[Tensor, Tensor]]:
        """See ``Task.dataset``; there is no augmentation."""
        points, classes = (torch.from_numpy(array) for array in self._points(split))
        return TensorDataset(points.view(-1, 2, 1, 1), classes)  # type: ignore[return-value]

    def score(self, outputs: np.ndarray, targets: np.ndarray) -> Mapping[str, float]:
        """``accuracy`` and ``worst_class`` of logits ``(M, 3)`` against classes ``(M,)``."""
        right = outputs.argmax(axis=1) == targets
        by_class = [float(right[targets == number].mean()) for number in np.unique(targets)]
        return {"accuracy": float(right.mean()), "worst_class": min(by_class)}

    def fingerprint(self) -> str:
        """See ``Task.fingerprint``."""
        digest = hashlib.sha256()
        for split in SIZES:
            for array in self._points(split):
                digest.update(array.tobytes())
        return digest.hexdigest()

    def _points(self, split: Split) -> tuple[np.ndarray, np.ndarray]:
        """``(M, 2)`` float32 and ``(M,)`` int64; the splits share no point."""
        random = np.random.default_rng([self._seed, zlib.crc32(split.encode())])
        classes = np.arange(SIZES[split], dtype=np.int64) % self.num_outputs
        radius = np.sqrt(random.uniform(0.02, 1.0, len(classes)))
        angle = 2 * np.pi * (radius * self._turns + classes / self.num_outputs)
        points = np.stack([radius * np.cos(angle), radius * np.sin(angle)], axis=1)
        points += random.normal(0, self._noise, points.shape)
        return (points / 0.6).astype(np.float32), classes
