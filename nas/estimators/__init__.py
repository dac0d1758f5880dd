"""Estimators: procedures that train a network until it can be scored."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from nas.registry import Registry

if TYPE_CHECKING:
    from nas.halving import Halving
    from nas.space import Network
    from nas.tasks import Task


@dataclass(frozen=True)
class Epoch:
    """One finished epoch of a training, a point of its curve."""

    epoch: int
    #: ``train_loss``, ``learning_rate``, ``seconds``, and each metric of the task on the validation split.
    values: dict[str, float]


class Estimator(ABC):
    """Trains a network until it can be scored.

    Parameters are keyword arguments with defaults, which a plan may set; constructors validate them (PlanError).
    """

    #: Largest number of epochs of a run; forecasts multiply by it.
    num_epochs: int
    #: When studies compare unfinished trainings and continue only the best; None: every training is finished. If it is
    #: set, an epoch is scored like a finished training: its values are comparable between networks.
    halving: Halving | None = None

    def num_steps(self, task: Task) -> int | None:
        """Number of optimizer steps of a run on a task; None where it is unknown."""
        return None

    @abstractmethod
    def fit(self, network: Network, task: Task, *, seed: int, checkpoint: Path | None = None) -> Iterator[Epoch]:
        """Train in place, and yield one item per epoch; the caller may close the generator between epochs.

        With ``checkpoint``, an existing folder, the state is saved atomically after every epoch, before the epoch is
        yielded. A call with the same folder first yields the saved epochs, continues after the last saved state, and
        ends at the same weights as an uninterrupted run. Policies get ``on_step``.

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
