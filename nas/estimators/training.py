"""Training from scratch, with timm's optimizers, schedules, averaging and mixing."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nas.estimators import Epoch, Estimator
from nas.estimators.recipe import Recipe, make_recipe
from nas.estimators.run import Run, steps_of

if TYPE_CHECKING:
    from nas.space import Network
    from nas.tasks import Task


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
        yield from Run(self.recipe, network, task, seed, checkpoint).epochs()
