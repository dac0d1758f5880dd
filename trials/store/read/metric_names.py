"""Names of metrics: the tables store name and target; a study writes ``latency_ms@pi``, or ``latency_ms`` for short."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

from sqlalchemy import and_, or_, select
from sqlalchemy.orm import Session
from sqlalchemy.sql.elements import ColumnElement

from trials.store.models import Candidate, Metric, Study
from trials.store.target_metrics import is_hidden

_AT_RUNG = re.compile(r"_at_epoch_\d+$")


def target_names(study: Study) -> tuple[str, ...]:
    """The names of the plan's targets."""
    return tuple(str(target["name"]) for target in study.plan.get("targets", ()))


def metric_names(session: Session, study: Study) -> tuple[str, ...]:
    """Metrics of a study, objectives first; read from a few candidates, because all complete ones have the same."""
    some = [
        select(Candidate.id)
        .where(Candidate.study_id == study.id, Candidate.state == state)
        .order_by(Candidate.number)
        .limit(10)
        for state in ("complete", "infeasible")
    ]
    query = (
        select(Metric.name, Metric.target)
        .where(or_(*(Metric.candidate_id.in_(ids) for ids in some)))
        .distinct()
        .order_by(Metric.name, Metric.target)
    )
    found = [metric_name(study, name, target) for name, target in session.execute(query)]
    return tuple(dict.fromkeys([*study.objectives, *shown_metrics(study, found)]))


def shown_metrics(study: Study, names: Iterable[str]) -> list[str]:
    """Return the metrics that tables show; hidden ones only if they are an objective or have a limit."""
    wanted = {_whole(study, name) for name in (*study.objectives, *study.limits, *study.plan.get("limits", {}))}
    return [name for name in names if not is_hidden(split_name(name)[0]) or _whole(study, name) in wanted]


def _whole(study: Study, key: str) -> tuple[str, str]:
    """Name and target of a metric that is measured on targets; a name without a target means the first one."""
    name, target = split_name(key)
    return name, target or next(iter(target_names(study)), "")


def metric_name(study: Study, name: str, target: str) -> str:
    """The name of a metric in a study: ``name@target``, but only ``name`` for the first target or without a target.

    If the study has the objective ``name@target``, it is called so on the first target, too.
    """
    first = next(iter(target_names(study)), "")
    full = f"{name}@{target or first}"
    if full in study.objectives:
        return full
    return name if target in ("", first) else full


def metric_is(metric: Any, session: Session, study: Study, key: str) -> ColumnElement[bool]:
    """Condition that joins ``metric`` rows called ``key`` to candidates.

    A name without a target means the row without a target, or else the row of the first target that has one.
    """
    name, target = split_name(key)
    if not target:
        for option in ("", *target_names(study)):
            some = select(Metric.id).join(Candidate, Candidate.id == Metric.candidate_id)
            some = some.where(Candidate.study_id == study.id, Metric.name == name, Metric.target == option)
            if session.scalar(some.limit(1)) is not None:
                target = option
                break
    return and_(metric.candidate_id == Candidate.id, metric.name == name, metric.target == target)


def is_at_rung(name: str) -> bool:
    """Whether a metric is a score at a rung of successive halving, as ``accuracy_at_epoch_3``."""
    return _AT_RUNG.search(name) is not None


def split_name(key: str) -> tuple[str, str]:
    """The name and the target of a metric; the target is empty if ``key`` names none."""
    name, _, target = key.partition("@")
    return name, target
