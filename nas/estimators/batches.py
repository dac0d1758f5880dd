"""Reads batches of a data set, by one indexing operation where the data set supports it, else through a loader."""

from __future__ import annotations

from collections.abc import Iterator, Sized
from typing import Any, Protocol, cast, runtime_checkable

import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, TensorDataset

Batch = tuple[Tensor, Tensor]


@runtime_checkable
class Indexable(Protocol):
    """A data set that can read many items at once."""

    def batch(self, indices: Tensor) -> Batch:
        """Read the items ``indices`` ``(B,)`` as new tensors."""


def size_of(dataset: Dataset[Any]) -> int:
    """Number of items of a map-style data set."""
    return len(cast("Sized", dataset))


def training_batch_size(size: int, wanted: int, *, even: bool) -> int:
    """Batch size for training: ``wanted``, at most the size of the data set; made ``even`` for mixing, which pairs."""
    found = min(wanted, size)
    return max(found - found % 2, 1) if even else found


def read_batches(
    dataset: Dataset[Any], order: Tensor, batch_size: int, *, num_workers: int = 0, pin_memory: bool = False
) -> Iterator[Batch]:
    """Batches of the items ``order`` ``(M,)``, in that order; the last one may be smaller."""
    parts = torch.split(order, batch_size)
    if isinstance(dataset, Indexable):
        yield from (dataset.batch(indices) for indices in parts)
    elif type(dataset) is TensorDataset and len(dataset.tensors) == 2:
        inputs, targets = dataset.tensors
        yield from ((inputs[indices], targets[indices]) for indices in parts)
    else:
        yield from DataLoader(
            dataset,
            batch_sampler=[indices.tolist() for indices in parts],
            num_workers=num_workers,
            pin_memory=pin_memory,
        )


def in_order(dataset: Dataset[Any], batch_size: int, num_workers: int = 0) -> Iterator[Batch]:
    """Batches of the whole data set, in its order."""
    yield from read_batches(dataset, torch.arange(size_of(dataset)), batch_size, num_workers=num_workers)
