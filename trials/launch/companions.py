"""Companions of a finished study: studies that train its best networks dense, and under random masks."""

from __future__ import annotations

from typing import Any

from nas.errors import PlanError, StudyError
from nas.space import POLICIES, Architecture
from trials.analysis.compared import NUM_COMPARED, compared
from trials.plans.plan import Named, Plan, make_plan
from trials.plans.problem import Problem, open_problem
from trials.plans.studies import StudySpec, dense_plan, given_plan
from trials.store.read.candidate import candidate_detail
from trials.store.read.rows import study_row
from trials.store.records import ENDED
from trials.store.roles import Role, companion_name
from trials.store.store import Store


def check_comparable(plan: Plan) -> None:
    """Raise PlanError for a plan without policies, because its networks are dense already."""
    if not plan.policies:
        raise PlanError(
            "this plan has no policies, so its networks are dense and there is nothing to compare; add a policy that "
            "chooses sparsity or precision to the plan, or leave the twins out"
        )


def twin_specs(store: Store, name: str, max_networks: int = NUM_COMPARED) -> list[StudySpec]:
    """Return the companions of a finished study; none if no policy changed any of its complete candidates.

    Raises:
        StudyError: the study is not finished.
        PlanError: its plan has no policies, or its policies do not support random masks.
    """
    row = store.read(study_row, name)
    if row.state not in ENDED:
        raise StudyError(f"study {name!r} is {row.state}; finish it before its twins are trained: nas resume {name}")
    plan = make_plan(row.plan)
    check_comparable(plan)
    problem = open_problem(plan)
    dense = _spec(store, problem, name, "dense", compared(store, name, max_networks))
    sparse = compared(store, name, max_networks, only_sparse=True) if row.regime is not None else []
    return [spec for spec in (dense, _spec(store, problem, name, "random_mask", sparse)) if spec]


def _spec(store: Store, problem: Problem, name: str, role: Role, numbers: list[int]) -> StudySpec | None:
    if not numbers:
        return None
    own = companion_name(name, role)
    recorded = [Architecture.from_json(candidate_detail(store, name, number).definition) for number in numbers]
    if role == "dense":
        parents = [problem.searched.dense_parent(item).architecture for item in recorded]
        plan = dense_plan(problem.plan, own, [dict(parent.choices) for parent in parents])
    else:
        policies = [_with_random_masks(policy) for policy in problem.plan.policies]
        plan = given_plan(problem.plan, own, [dict(item.choices) for item in recorded], policies=policies)
    return StudySpec(own, role, plan, {"study": name, "candidates": numbers})


def _with_random_masks(policy: Named) -> dict[str, Any]:
    return {**policy.spec(), **(POLICIES.get(policy.name).random_masks or {})}
