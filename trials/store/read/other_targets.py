"""Latencies that earlier studies of the same search space measured on other targets."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any, NamedTuple

from sqlalchemy import Connection, select

from nas.strategies import Suggestion
from trials.store.dialect import table
from trials.store.models import Study
from trials.store.read.history import stored_suggestions

STUDIES = table(Study)
#: Largest number of studies that are read, the newest ones.
MAX_STUDIES = 10
#: Parts of a plan that determine the networks of a study.
_PARTS = ("space", "policies", "task")


class OtherTargetLatency(NamedTuple):
    """A network of an earlier study, and its latency on a target."""

    target: str
    suggestion: Suggestion
    latency_ms: float


def latencies_on_other_targets(
    connection: Connection, study_id: int, plan: Mapping[str, Any], own_targets: Collection[str]
) -> list[OtherTargetLatency]:
    """Latencies on other targets than ``own_targets``, measured in studies before ``study_id``, the oldest first.

    Only studies whose plan has the same search space, policies and task as ``plan`` are read.
    """
    rows = connection.execute(select(STUDIES.c.id, STUDIES.c.plan).where(STUDIES.c.id < study_id))
    alike = [row.id for row in rows if all(row.plan.get(part) == plan.get(part) for part in _PARTS)]
    return [
        OtherTargetLatency(target, item.suggestion, metric.value)
        for earlier in sorted(alike)[-MAX_STUDIES:]
        for item in stored_suggestions(connection, earlier)
        if item.suggestion.questions and not item.duplicate
        for (name, target), metric in item.metrics.items()
        if name == "latency_ms" and target not in own_targets
    ]
