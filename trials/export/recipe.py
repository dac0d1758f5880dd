"""The recipe of a final training, for the people who get its weights."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping
from typing import Any

import yaml

from trials.plans.final_training import final_training_of
from trials.plans.plan import Plan
from trials.store.read.final_trainings import FinalTrainingInfo


def recipe_of(plan: Plan, study: str, number: int, training: FinalTrainingInfo) -> dict[str, Any]:
    """Return what a final training was, as JSON values.

    Returns:
        ``description`` in a few words, the whole ``recipe``, the ``command`` that trains trial ``number`` of ``study``
        by it again, and the ``packages`` that trained.
    """
    changes = map(shlex.quote, overrides_of(plan, training.recipe))
    return {
        "description": training.description,
        "recipe": dict(training.recipe),
        "command": " ".join(["nas train", shlex.quote(study), f"--trial {number}", *changes]),
        "packages": training.environment.get("packages", {}),
    }


def overrides_of(plan: Plan, recipe: Mapping[str, Any]) -> list[str]:
    """Return the overrides ``key=value`` with which ``final_training_of`` makes this recipe from a plan."""
    name = recipe["estimator_spec"]["name"]
    usual = final_training_of(plan).to_json()
    changes = []
    if name != usual["estimator_spec"]["name"]:
        changes = [f"name={name}"]
        usual = final_training_of(plan, changes).to_json()
    before = list(_flat(usual))
    return changes + [f"{key}={_text(value)}" for key, value in _flat(recipe) if (key, value) not in before]


def _flat(recipe: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """Keys under ``final_training`` with their values."""
    yield from ((key, value) for key, value in recipe["estimator_spec"].items() if key != "name")
    yield from ((f"distillation.{key}", value) for key, value in recipe["distillation"].items())
    yield from ((key, recipe[key]) for key in ("teacher", "seed", "workers"))


def _text(value: Any) -> str:
    """Return a value as YAML in one line."""
    written = yaml.safe_dump(value, default_flow_style=True, width=float("inf"), allow_unicode=True)
    return str(written).removesuffix("...\n").strip()
