"""The recipe of a final training: the plan's ``final_training``, with everything that follows from the study."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from torch import nn

from nas.errors import PlanError
from nas.estimators import ESTIMATORS, Estimator
from nas.estimators.data_parallel import Workers
from nas.estimators.teacher import Teacher
from nas.registry import make
from trials.plans.loading import apply_override
from trials.plans.paths import Typed, with_absolute_weights
from trials.plans.plan import Plan, make_plan

#: Keys of ``final_training`` that are not parameters of the estimator.
_OWN_KEYS = ("name", "teacher", "distillation", "seed", "workers")


@dataclass(frozen=True)
class FinalTraining:
    """How a network is trained in the end. Equal values and an equal network give equal weights."""

    #: ``{"name": …, parameters…}`` of the estimator.
    estimator_spec: Mapping[str, Any]
    #: See ``trials.plans.teachers.TeacherSpec``; None for none.
    teacher: str | None
    #: ``temperature``, ``hard_weight`` and ``soft_weight`` of the loss with a teacher.
    distillation: Mapping[str, float]
    seed: int
    #: Number of processes that train the network together.
    workers: int

    def estimator(self, workers: Workers | None = None) -> Estimator:
        """Create a new estimator, without its teacher.

        Args:
            workers: the processes that train together, of which this is one; None only checks the recipe.

        Raises:
            PlanError: a parameter is unknown or out of range, or the estimator has no use for the teacher or the
                workers.
        """
        name = self.estimator_spec["name"]
        try:
            estimator: Estimator = make(ESTIMATORS.get(name), self.estimator_spec, "estimator")
            if self.teacher is not None:
                estimator.use_teacher(self.with_weights(nn.Identity(), ""))
            if self.workers > 1:
                estimator.use_workers(workers or Workers(0, self.workers))
        except PlanError as error:
            raise PlanError(f"final_training: {error}") from None
        return estimator

    def with_weights(self, model: nn.Module, identity: str) -> Teacher:
        """Return a teacher with this recipe's weights of the loss."""
        return Teacher(model, identity, **self.distillation)

    def to_json(self) -> dict[str, Any]:
        """Return the recipe as JSON values."""
        return asdict(self)

    @property
    def key(self) -> str:
        """Hash of the recipe."""
        return hashlib.sha256(json.dumps(self.to_json(), sort_keys=True).encode()).hexdigest()


def final_training_of(plan: Plan, overrides: Sequence[str] = ()) -> FinalTraining:
    """Return the recipe of a plan, changed by ``key=value`` overrides of keys under ``final_training``.

    Raises:
        PlanError: an override is malformed, or a value is not allowed.
    """
    whole = {"final_training": plan.final_training.model_dump(exclude_none=True)}
    for override in overrides:
        _refuse_prefix(override)
        apply_override(whole, f"final_training.{override}")
    data = whole["final_training"]
    if isinstance(teacher := data.get("teacher"), Typed):
        data["teacher"] = with_absolute_weights(teacher, Path.cwd())
    asked = make_plan({**plan.to_json(), "final_training": data}).final_training
    own = {key: value for key, value in asked.model_dump().items() if key not in _OWN_KEYS}
    searched = plan.estimator
    name = asked.name or searched.name
    usual: dict[str, Any] = {}
    if name == searched.name:
        parameters = {key: value for key, value in searched.spec().items() if key != "name"}
        usual = ESTIMATORS.get(name).for_final_training(parameters)
    return FinalTraining(
        estimator_spec={"name": name, **usual, **own},
        teacher=asked.teacher,
        distillation=asked.distillation.model_dump(),
        seed=plan.seed if asked.seed is None else asked.seed,
        workers=asked.workers,
    )


def _refuse_prefix(override: str) -> None:
    """Raise PlanError for a key as it stands in a plan, such as ``estimator.epochs``."""
    prefix, _, rest = override.partition(".")
    if prefix in ("estimator", "final_training") and rest:
        raise PlanError(f"{override}: the keys are those under final_training in the plan; write `{rest}`")
