"""Estimators: procedures that train a network until it can be scored."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nas.errors import PlanError
from nas.registry import Registry

if TYPE_CHECKING:
    from nas.estimators.data_parallel import Workers
    from nas.estimators.teacher import Teacher
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

    @classmethod
    def for_final_training(cls, parameters: Mapping[str, Any]) -> dict[str, Any]:
        """Parameters of a final training, made from those of a search; by default the same."""
        return dict(parameters)

    def use_teacher(self, teacher: Teacher) -> None:
        """Let networks learn from a teacher, too; called before ``fit``.

        Raises:
            PlanError: this estimator has no use for a teacher.
        """
        raise PlanError("this estimator can't use a teacher; use the estimator training, or leave the teacher out")

    def use_workers(self, workers: Workers) -> None:
        """Train in several processes, each of which calls ``fit`` with the same arguments; called before ``fit``.

        Raises:
            PlanError: this estimator trains in one process only.
        """
        raise PlanError("this estimator trains in one process; use the estimator training, or set workers to 1")

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
