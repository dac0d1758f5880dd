"""Training from scratch, with timm's optimizers, schedules, averaging and mixing."""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nas.estimators import Epoch, Estimator
from nas.estimators.distillation import Distillation
from nas.estimators.optimization import pick_device
from nas.estimators.recipe import Recipe, make_recipe
from nas.estimators.run import Loss, Run, steps_of

if TYPE_CHECKING:
    from nas.estimators.data_parallel import Workers
    from nas.estimators.teacher import Teacher
    from nas.space import Network
    from nas.tasks import Task


#: Factor on the number of epochs, and decay of the average, of a final training.
LONGER, FINAL_EMA_DECAY = 10, 0.999


class Training(Estimator):
    """Trains with timm's optimizers, schedules, averaging and mixing.

    Training starts from random weights or from the ``weights`` of the space. The result depends only on network, task,
    recipe and seed: an interrupted training continues within its epoch and ends at the same weights, bit for bit on the
    same machine. The global random generators are left unchanged. The parameters are those of ``Recipe``.

    The defaults are for training from scratch. A ``learning_rate`` of 0.004 destroys trained weights: with ``weights``,
    begin with ``learning_rate: 0.0003`` and ``epochs: 5``.

    Raises:
        PlanError: a parameter is unknown or out of range.
    """

    __signature__ = inspect.signature(Recipe)

    def __init__(self, **parameters: Any) -> None:
        self.recipe = make_recipe(parameters)
        self.num_epochs = self.recipe.epochs
        self.halving = self.recipe.halving
        self._teacher: Teacher | None = None
        self._workers: Workers | None = None

    @classmethod
    def for_final_training(cls, parameters: Mapping[str, Any]) -> dict[str, Any]:
        """Ten times as many epochs, with an average of the weights; no training is stopped early."""
        kept = {key: value for key, value in parameters.items() if key not in ("halving", "patience")}
        epochs = make_recipe(kept).epochs
        return {"ema_decay": FINAL_EMA_DECAY, "ema_warmup": True, **kept, "epochs": LONGER * epochs}

    def use_teacher(self, teacher: Teacher) -> None:
        """See ``Estimator.use_teacher``."""
        self._teacher = teacher

    def use_workers(self, workers: Workers) -> None:
        """See ``Estimator.use_workers``; the batch must be divisible among the workers."""
        workers.check_batch(self.recipe.batch_size, even=self.recipe.mixup > 0 or self.recipe.cutmix > 0)
        self._workers = workers

    def num_steps(self, task: Task) -> int:
        """See ``Estimator.num_steps``."""
        return steps_of(self.recipe, task)

    def fit(self, network: Network, task: Task, *, seed: int, checkpoint: Path | None = None) -> Iterator[Epoch]:
        """See ``Estimator.fit``.

        When the generator ends, is closed or fails, the model is on the CPU in evaluation mode, with averaged weights
        if the recipe averages.

        Raises:
            PlanError: the recipe mixes targets that can't be mixed, or requires a GPU that does not exist.
        """
        run = Run(
            self.recipe,
            network,
            task,
            seed,
            checkpoint,
            loss=self._loss(task),
            depends_on=self._depends_on(),
            workers=self._workers,
        )
        yield from run.epochs()

    def _loss(self, task: Task) -> Loss | None:
        """The loss with the teacher; None for the task's own loss."""
        if self._teacher is None:
            return None
        return Distillation(
            task,
            self._teacher.model.to(pick_device(self.recipe)),
            temperature=self._teacher.temperature,
            hard=self._teacher.hard_weight,
            soft=self._teacher.soft_weight,
        )

    def _depends_on(self) -> Any:
        """What the weights depend on besides the recipe, as JSON values; None for one process without a teacher."""
        found: dict[str, Any] = {}
        if self._teacher is not None:
            weights = self._teacher.temperature, self._teacher.hard_weight, self._teacher.soft_weight
            found["teacher"] = [self._teacher.identity, *weights]
        if self._workers is not None:
            found["workers"] = self._workers.size
        return found or None
