"""Change the budget, repeats or limits of a stored study, so that it can be continued.

Recorded results do not change. Limits can only become tighter; recorded candidates are judged by their recorded
metrics. A looser limit is refused: candidates that the old limit rejected were never trained, so the result would
differ from a study that had the looser limit from the start.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from copy import deepcopy
from typing import Any

from nas.errors import PlanError, StudyError
from nas.space.size import space_size
from nas.strategies import Goal, Limit
from trials.coordinator.pipeline import broken_limit
from trials.coordinator.progress import MEASURED_ONLY, PAUSED, Progress
from trials.plans.data import check_data
from trials.plans.loading import apply_override
from trials.plans.plan import Plan, Relative, make_plan
from trials.plans.problem import Problem, open_problem
from trials.store.models import Study
from trials.store.read.history import stored_suggestions
from trials.store.read.rows import study_row
from trials.store.records import StoredSuggestion
from trials.store.store import Store
from trials.store.write.leases import acquire_lease
from trials.store.write.studies import extend_study

EXTENDABLE = ("budget", "confidence", "limits")
_MORE = re.compile(r"\+(\d+(?:\.\d+)?)")


def prepare_extension(store: Store, name: str, overrides: Sequence[str], owner: str, lease_s: float) -> None:
    """Change a study's plan, and leave the study interrupted, so that it can be resumed.

    Raises:
        PlanError: a key can't be changed, or a value is not allowed.
        StudyError: the changes add no work, or another coordinator runs the study.
    """
    row = store.read(study_row, name)
    plan = _changed(row, overrides)
    problem = open_problem(plan)
    check_data(name, row.environment, problem)
    limits = _tightened(row, problem)
    history = store.read(stored_suggestions, row.id)
    _check_budget(row, problem, limits, history)
    broken = {
        item.candidate: reason
        for item in history
        if item.state in ("complete", MEASURED_ONLY, PAUSED) and (reason := broken_limit(problem, limits, item.metrics))
    }
    lease = store.write(acquire_lease, row.id, owner, lease_s)
    bounds = {metric: {"min": limit.min, "max": limit.max} for metric, limit in limits.items()}
    store.write(extend_study, lease, plan.to_json(), bounds, broken)


def _changed(row: Study, overrides: Sequence[str]) -> Plan:
    data = deepcopy(row.plan)
    for override in overrides:
        key = override.partition("=")[0]
        if key.partition(".")[0] not in EXTENDABLE or "." not in key:
            raise PlanError(
                f"{key} can't be changed after a study has started, because the recorded results belong to the old "
                f"value; nas extend accepts keys under {', '.join(EXTENDABLE)}; to change others, start a new study"
            )
        apply_override(data, _absolute(data, override))
    plan = make_plan(data)
    if plan == make_plan(row.plan):
        raise StudyError(f"the changes do not change the plan of study {row.name!r}; add work, as in budget.trials=+10")
    return plan


def _absolute(data: Mapping[str, Any], override: str) -> str:
    """Return ``key=+10`` with ``+10`` replaced by the sum; other overrides are returned unchanged."""
    key, _, text = override.partition("=")
    more = _MORE.fullmatch(text.strip())
    if more is None:
        return override
    value: Any = data
    for part in key.split("."):
        if not isinstance(value, Mapping) or part not in value:
            return f"{key}={more[1]}"  # an unknown key; the plan's check reports it
        value = value[part]
    if not isinstance(value, int | float):
        raise PlanError(f"{override}: {key} is {value!r}, which is not a number to add to; give a number without +")
    added = float(more[1]) if "." in more[1] else int(more[1])
    return f"{key}={value + added}"


def _tightened(row: Study, problem: Problem) -> dict[str, Limit]:
    """Return the study's limits as numbers, including limits that the new plan tightens or adds.

    Raises:
        PlanError: the new plan loosens or removes a limit, or a changed limit is relative.
    """
    limits = {metric: Limit(**bound) for metric, bound in row.limits.items()}
    old, new = make_plan(row.plan).limits, problem.plan.limits
    for metric in old.keys() | new.keys():
        if old.get(metric) == new.get(metric):
            continue
        before, after = limits.get(metric, Limit()), new.get(metric)
        sides = {}
        for side, sign in (("min", 1), ("max", -1)):
            was, wanted = getattr(before, side), getattr(after, side, None)
            if old.get(metric) is not None and getattr(old[metric], side) == wanted:
                wanted = was
            if isinstance(wanted, Relative):
                raise PlanError(
                    f"limits.{metric}.{side} is relative, but relative limits can only be set when a study starts; "
                    "give a number"
                )
            if was is not None and (wanted is None or sign * wanted < sign * was):
                raise PlanError(
                    f"limits.{metric}.{side}: the study's limit {was:.4g} can be made tighter, but not looser, because "
                    "candidates that it rejected were never trained; for a looser limit, start a new study"
                )
            sides[side] = wanted
        limits[metric] = Limit(**sides)
    return limits


def _check_budget(
    row: Study, problem: Problem, limits: Mapping[str, Limit], history: Sequence[StoredSuggestion]
) -> None:
    """Raise StudyError if the new budget leaves nothing to do."""
    progress = Progress(problem, limits)
    progress.restore(history)
    budget, num = problem.plan.budget, progress.num_trials
    if budget.trials < num:
        raise StudyError(
            f"study {row.name!r} already has {num} trials, more than budget.trials={budget.trials}; give more, as in "
            "budget.trials=+10"
        )
    spent_s = row.totals.get("wall_s", 0.0)
    if budget.wall_minutes is not None and spent_s >= 60 * budget.wall_minutes:
        raise StudyError(
            f"study {row.name!r} has run for {spent_s / 60:.1f} minutes and used up its {budget.wall_minutes:g} "
            "minutes; add time with budget.wall_minutes=+10"
        )
    if budget.trials > num and len(row.enqueued or []) <= progress.num_enqueued:
        _check_not_exhausted(row, problem, limits, history)


def _check_not_exhausted(
    row: Study, problem: Problem, limits: Mapping[str, Limit], history: Sequence[StoredSuggestion]
) -> None:
    strategy = problem.strategy(Goal(problem.objectives, limits), problem.plan.seed)
    known = Progress(problem, limits).restore(history)
    strategy.observe([item for item in known if item.suggestion.questions])
    num = sum(not item.duplicate for item in history)
    if strategy.exhausted(len(history)) or (row.state == "exhausted" and _has_all(problem, num)):
        raise StudyError(
            f"study {row.name!r} already has all {num} networks of its space; to try others, start a study with a "
            "larger space"
        )
    if len(history) >= problem.max_suggestions:
        raise StudyError(
            f"study {row.name!r} has made {len(history)} suggestions, and nearly all were duplicates; if the space has "
            f"more networks, allow more suggestions with budget.suggestions={2 * len(history)}"
        )


def _has_all(problem: Problem, num: int) -> bool:
    size = space_size(problem.searched.sample)
    return size.exact and num >= size.size
