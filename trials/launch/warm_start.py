"""Copies results of earlier studies for a new study, which starts from them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from nas.errors import PlanError
from nas.strategies import FEATURES
from nas.strategies.pareto import pareto_front
from trials.coordinator.pipeline import Metrics
from trials.coordinator.progress import spread_of
from trials.plans.answers import questions_of
from trials.plans.problem import Problem
from trials.store.models import Study
from trials.store.read.history import stored_suggestions
from trials.store.read.rows import study_row
from trials.store.records import MetricValue, StoredSuggestion
from trials.store.store import Store
from trials.store.target_metrics import TARGET_METRICS

#: Largest number of newest results that are copied from one study, besides its front.
NEWEST = 500
#: Smallest number of results that a process can learn from.
FEWEST = 2


def earlier_results(store: Store, problem: Problem) -> list[dict[str, Any]]:
    """Return the results of the studies that a plan starts from, as ``trials.store.models.Study.earlier`` stores them.

    The new study keeps this copy, so that it does not depend on the earlier studies any more.

    Raises:
        UnknownNameError: the database has no study of this name.
        PlanError: a study has too few complete candidates, or no choice or objective in common with the new study.
    """
    return [_copied(store, problem, name) for name in dict.fromkeys(problem.plan.warm_start)]


def _copied(store: Store, problem: Problem, name: str) -> dict[str, Any]:
    row = store.read(study_row, name)
    complete = [
        item
        for item in store.read(stored_suggestions, row.id)
        if item.state == "complete" and not item.duplicate and item.suggestion.questions
    ]
    if len(complete) < FEWEST:
        raise PlanError(
            f"warm_start: study {name!r} has {len(complete)} complete candidates that its strategy proposed; at least "
            f"{FEWEST} are needed, so leave it out or let it train more"
        )
    asked, questions = complete[0].suggestion.questions, questions_of(problem.searched)
    if not any(question.name in questions for question in asked):
        raise PlanError(
            f"warm_start: study {name!r} has no choice in common with this study; its choices are "
            f"{', '.join(question.name for question in asked)}. Leave it out"
        )
    found = [(item, _objectives(problem, row, item.metrics)) for item in complete]
    known = [objective for objective in problem.objectives if any(objective in values for _, values in found)]
    if not known:
        raise PlanError(
            f"warm_start: study {name!r} has no value of any objective of this study "
            f"({', '.join(problem.objectives)}). Leave it out"
        )
    measured = [(item, values) for item, values in found if values.keys() >= set(known)]
    return {
        "study": name,
        "questions": [[item.name, list(item.options), item.ordered, item.site] for item in asked],
        "results": [_result(*measured[place]) for place in _kept(problem, known, [values for _, values in measured])],
    }


def _objectives(problem: Problem, row: Study, metrics: Metrics) -> dict[str, MetricValue]:
    """Return the values of the new study's objectives that a candidate of an earlier study has.

    A metric of a target is taken from the target of the same name, or else from the earlier study's first target.
    """
    targets = [target["name"] for target in row.plan["targets"]]
    found = {}
    for objective in problem.objectives:
        metric, target = problem.metric_key(objective)
        place = (target if target in targets else targets[0]) if metric in TARGET_METRICS else ""
        if (metric, place) in metrics:
            found[objective] = metrics[metric, place]
    return found


def _kept(problem: Problem, known: Sequence[str], results: Sequence[Mapping[str, MetricValue]]) -> list[int]:
    """Return the places of the results on the front, and of the newest ones, in their order."""
    points = [[values[name].value for name in known] for values in results]
    front = pareto_front(points, [problem.objectives[name] for name in known])
    return sorted({*front.tolist(), *range(max(0, len(results) - NEWEST), len(results))})


def _result(item: StoredSuggestion, values: Mapping[str, MetricValue]) -> dict[str, Any]:
    suggestion = item.suggestion
    spreads = {name: spread for name, value in values.items() if (spread := spread_of(value)) is not None}
    return {
        "number": suggestion.number,
        "answers": dict(suggestion.answers),
        "active": [question.active for question in suggestion.questions],
        "values": {name: value.value for name, value in values.items()},
        "spreads": spreads,
        "features": dict(suggestion.sampler_state.get(FEATURES, {})),
    }
