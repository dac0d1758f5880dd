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
    """Trains a network by a recipe; the parameters are those of ``Recipe``.

    A run is a function of network, task, recipe and seed: interrupted anywhere and continued, it ends at the
    same weights, bit by bit on the same machine. It leaves the global random generators alone.

    Raises:
        PlanError: a parameter that is unknown or out of range.
    """

    __signature__ = inspect.signature(Recipe)

    def __init__(self, **parameters: Any) -> None:
        self.recipe = make_recipe(parameters)
        self.num_epochs = self.recipe.epochs

    def num_steps(self, task: Task) -> int:
        """See ``Estimator.num_steps``."""
        return steps_of(self.recipe, task)

    def fit(self, network: Network, task: Task, *, seed: int, checkpoint: Path | None = None) -> Iterator[Epoch]:
        """See ``Estimator.fit``.

        When the generator ends, is closed or fails, the model is on the CPU in evaluation mode; it holds the
        averaged weights where the recipe averages.

        Raises:
            PlanError: the recipe mixes targets that can't be mixed, or asks for a GPU that is not there.
        """
        yield from Run(self.recipe, network, task, seed, checkpoint).epochs()
