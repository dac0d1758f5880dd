"""Estimators: how good is a network?"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from nas.registry import Registry

if TYPE_CHECKING:
    from nas.space import Network
    from nas.tasks import Task


@dataclass(frozen=True)
class Epoch:
    """One finished epoch: a point of the curve."""

    epoch: int
    #: ``train_loss``, ``learning_rate``, ``seconds`` and each task metric on the validation split.
    values: dict[str, float]


class Estimator(ABC):
    """Brings a network to the state in which it is judged.

    The parameters are the plan's, keyword arguments with defaults, validated in the constructor (PlanError).
    """

    #: Epochs a run takes at most: what a forecast multiplies by.
    num_epochs: int

    def num_steps(self, task: Task) -> int | None:
        """Optimiser steps of a run on a task; None where the estimator can't tell."""
        return None

    @abstractmethod
    def fit(self, network: Network, task: Task, *, seed: int, checkpoint: Path | None = None) -> Iterator[Epoch]:
        """Train in place, one item an epoch (a generator: the caller may stop between epochs).

        With ``checkpoint`` (a folder that exists) the state is saved after every epoch, atomically, before the
        epoch is yielded; called again with the same folder it continues after the last saved state, having
        yielded the saved epochs first, and ends at the same weights as an uninterrupted run. Policies get
        ``on_step``.

        Raises:
            JobError: the loss is not finite; the message names epoch and step.
        """


ESTIMATORS: Registry[type[Estimator]] = Registry(
    "estimators",
    {
        "sparse_then_quantize": "nas.estimators.sparse_then_quantize:SparseThenQuantize",
        "training": "nas.estimators.training:Training",
    },
    subclasses_of=Estimator,
)
