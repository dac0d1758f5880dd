"""The studies that a plan describes: replicates, baselines, references and companions."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from trials.plans.plan import Budget, Named, Plan, Reference, make_plan
from trials.plans.problem import max_measured, open_problem
from trials.store.naming import check_name
from trials.store.roles import Role


@dataclass(frozen=True)
class StudySpec:
    """One study of a group: a search, or a study to compare it with."""

    name: str
    role: Role
    plan: Plan
    #: For a companion: see ``trials.store.models.Study.beside``.
    beside: Mapping[str, Any] | None = None


def study_specs(plan: Plan, name: str | None = None, baseline: str | None = None) -> list[StudySpec]:
    """Return the studies that a plan describes: each replicate followed by its baseline, then the references.

    Raises:
        StudyError: the name is not allowed for a study.
    """
    name = plan.name if name is None else name
    check_name(name)
    specs = []
    for seed in dict.fromkeys((plan.seed, *plan.replicate_seeds)):
        replicate = name if seed == plan.seed else f"{name}-seed{seed}"
        one = plan.model_copy(update={"seed": seed, "name": replicate, "replicate_seeds": (), "references": ()})
        specs.append(StudySpec(replicate, "search", one))
        if baseline:
            own = _joined(replicate, baseline)
            # The baseline trains as many networks as the search.
            budget = one.budget.model_copy(update={"measurements": max_measured(one)})
            alone = {"strategy": Named(name=baseline), "enqueue": (), "warm_start": (), "priors": {}}
            twin = one.model_copy(update={"name": own, "budget": budget, **alone})
            specs.append(StudySpec(twin.name, "baseline", twin))
    return specs + [_reference(plan, name, reference) for reference in plan.references]


def given_plan(plan: Plan, name: str, choices: list[dict[str, Any]], **changes: Any) -> Plan:
    """Return a copy of a plan that trains the listed networks instead of searching.

    It has no limits and no halving, because all networks are needed for the comparison, and no repeats, because its
    front is not of interest; the list is all that it starts from.
    """
    estimator = {key: value for key, value in plan.estimator.spec().items() if key != "halving"}
    fixed = {
        "name": name,
        "strategy": {"name": "given", "choices": choices},
        "limits": {},
        "estimator": estimator,
        "budget": Budget(trials=len(choices)).model_dump(),
        "replicate_seeds": [],
        "references": [],
        "enqueue": [],
        "warm_start": [],
        "priors": {},
        "confidence": {},
    }
    return make_plan({**plan.to_json(), **fixed, **changes})


def dense_plan(plan: Plan, name: str, choices: list[dict[str, Any]], **changes: Any) -> Plan:
    """Return ``given_plan`` without policies; objectives that only policies define are left out."""
    free = given_plan(plan, name, choices, policies=[], objectives={}, **changes)
    known = open_problem(free).metric_names()
    return free.model_copy(update={"objectives": {key: way for key, way in plan.objectives.items() if key in known}})


def _reference(plan: Plan, name: str, reference: Reference) -> StudySpec:
    spec = reference.spec()
    words = [f"{value}" for value in spec.values() if isinstance(value, str | int | float)]
    own = _joined(name, *words)
    return StudySpec(own, "reference", dense_plan(plan, own, [dict(reference.choices)], space=spec))


def _joined(*words: str) -> str:
    """Join words into a study's name; characters that are not allowed become ``-``."""
    return re.sub(r"[^A-Za-z0-9_.-]+", "-", "-".join(words))
