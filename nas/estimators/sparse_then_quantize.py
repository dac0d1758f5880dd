"""Trains in three phases, dense, sparse and quantized; the last two are distilled from the first."""

from __future__ import annotations

from collections.abc import Generator, Iterator, Mapping
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nas.errors import PlanError
from nas.estimators import Epoch, Estimator
from nas.estimators.dense_copy import dense_copy, take_weights
from nas.estimators.distillation import Distillation
from nas.estimators.optimization import pick_device
from nas.estimators.recipe import make_recipe
from nas.estimators.run import Loss, Run, steps_of
from nas.papers import Paper
from nas.seeds import seed_of

if TYPE_CHECKING:
    from nas.space import Network
    from nas.tasks import Task


class SparseThenQuantize(Estimator):
    """Trains in three phases: the dense network, the network under its masks, and the network with rounding.

    In the second and third phase, the dense network is the teacher: the loss is made of labels, the teacher's outputs
    and the teacher's features, and a layer counts more if compression changes it more (GPUSQ-ViT, Yu et al. 2023). The
    schedule of a sparsity policy runs within the second phase. ``quantization_aware`` of the policy ``precision`` is a
    share of the third phase; set it to 0 to round during the whole phase.

    Policies see their own phase as the whole training: ``precision`` the third, all others the second, whose masks stay
    as they are in the third. Difference from the paper: the paper prunes once, by magnitude; here the schedule of the
    sparsity policy decides (``one_shot`` at 0 is the paper's).

    Args:
        dense_epochs: epochs of the first phase.
        sparse_epochs: epochs of the second phase.
        quantized_epochs: epochs of the third phase.
        learning_rate_factor: factor on the learning rate in the second and third phase.
        temperature: temperature of the teacher's outputs.
        hard_weight: weight of the labels in the loss; 0 leaves them out.
        soft_weight: weight of the teacher's outputs.
        feature_weight: weight of the teacher's features.
        training: a mapping of the parameters of ``training`` for every phase, without ``epochs``.

    Raises:
        PlanError: a parameter is unknown or out of range.
    """

    paper = Paper(
        49,
        "GPUSQ-ViT (Yu et al. 2023)",
        "tests/contracts/test_sparse_then_quantize.py::test_two_of_four_hold_before_and_after_quantization",
    )

    def __init__(
        self,
        dense_epochs: int = 8,
        sparse_epochs: int = 6,
        quantized_epochs: int = 4,
        learning_rate_factor: float = 0.3,
        temperature: float = 2.0,
        hard_weight: float = 1.0,
        soft_weight: float = 1.0,
        feature_weight: float = 1.0,
        training: Mapping[str, Any] | None = None,
    ) -> None:
        given = dict(training or {})
        if "epochs" in given:
            raise PlanError(
                "estimator: sparse_then_quantize: training.epochs is not allowed; each phase has its own: "
                "dense_epochs, sparse_epochs, quantized_epochs"
            )
        if given.get("halving") is not None:
            raise PlanError(
                "estimator: sparse_then_quantize: training.halving is not allowed, because scores of the first phase "
                "do not tell which networks are good after the last; use the estimator training"
            )
        weights = {"hard_weight": hard_weight, "soft_weight": soft_weight, "feature_weight": feature_weight}
        _check(weights, learning_rate_factor=learning_rate_factor, temperature=temperature)
        dense = make_recipe({**given, "epochs": dense_epochs})
        later = dense.learning_rate * learning_rate_factor
        self._recipes = {
            "dense": dense,
            "sparse": make_recipe({**given, "epochs": sparse_epochs, "learning_rate": later}),
            "quantized": make_recipe({**given, "epochs": quantized_epochs, "learning_rate": later}),
        }
        self._loss = {
            "temperature": temperature,
            "hard": hard_weight,
            "soft": soft_weight,
            "features": feature_weight,
        }
        self.num_epochs = sum(recipe.epochs for recipe in self._recipes.values())

    @classmethod
    def for_final_training(cls, parameters: Mapping[str, Any]) -> dict[str, Any]:
        """Ten times as many epochs in every phase."""
        phases = {"dense_epochs": 8, "sparse_epochs": 6, "quantized_epochs": 4}
        return {**parameters, **{name: 10 * parameters.get(name, usual) for name, usual in phases.items()}}

    def num_steps(self, task: Task) -> int:
        """See ``Estimator.num_steps``."""
        return sum(steps_of(recipe, task) for recipe in self._recipes.values())

    def fit(self, network: Network, task: Task, *, seed: int, checkpoint: Path | None = None) -> Iterator[Epoch]:
        """See ``Estimator.fit``; epochs are numbered over all phases, and each phase has its own checkpoint."""
        with closing(self._phases(network, task, seed, checkpoint)) as epochs:
            for number, epoch in enumerate(epochs):
                yield replace(epoch, epoch=number)

    def _phases(self, network: Network, task: Task, seed: int, checkpoint: Path | None) -> Generator[Epoch]:
        def run(phase: str, part: Network, loss: Loss | None = None) -> Run:
            folder = None if checkpoint is None else checkpoint / phase
            if folder is not None:
                folder.mkdir(exist_ok=True)
            return Run(
                self._recipes[phase],
                part,
                task,
                seed_of(seed, phase),
                folder,
                loss=loss,
                # The result of a phase depends on the phases before it.
                depends_on=[{name: item.model_dump() for name, item in self._recipes.items()}, self._loss],
            )

        dense = replace(network, model=dense_copy(network.model), policies=())
        yield from run("dense", dense).epochs()
        take_weights(network.model, dense.model)
        loss = Distillation(task, dense.model.to(pick_device(self._recipes["dense"])), **self._loss)
        rounding = tuple(policy for policy in network.policies if "precision" in policy.claims)
        sparse = replace(network, policies=tuple(policy for policy in network.policies if policy not in rounding))
        training = run("sparse", sparse, loss)
        yield from training.epochs()
        # Schedules that act at the end of training act here.
        sparse.on_step(training.total_steps, training.total_steps)
        yield from run("quantized", replace(network, policies=rounding), loss).epochs()


def _check(weights: Mapping[str, float], **positive: float) -> None:
    for name, value in positive.items():
        if not value > 0:
            raise PlanError(f"estimator: sparse_then_quantize: {name} {value}; allowed: above 0")
    for name, value in weights.items():
        if not value >= 0:
            raise PlanError(f"estimator: sparse_then_quantize: {name} {value}; allowed: 0 or more")
    if not any(weights.values()):
        raise PlanError(f"estimator: sparse_then_quantize: {', '.join(weights)} are all 0; nothing would be trained")
