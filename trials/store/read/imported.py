"""Read imported networks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import select

from trials.store.models import ImportedRow
from trials.store.read.candidates import Value
from trials.store.read.metric_names import metric_name, shown_metrics
from trials.store.read.session import Source, find_study, reading


@dataclass(frozen=True)
class ImportedNetwork:
    """A network of the user beside a study."""

    name: str
    #: As written by ``trials.plans.imported.ImportSource.to_json``.
    source: Mapping[str, Any]
    #: Metric, named as in ``StudySummary.metrics`` → value; scores are those on the validation split.
    metrics: Mapping[str, Value]
    #: Metrics that tables show; see ``trials.store.read.metric_names.shown_metrics``.
    shown: tuple[str, ...]
    #: Metric → score on the test split; empty without scores.
    test_scores: Mapping[str, Value]
    #: What was left out, and why.
    notes: tuple[str, ...]
    uri: str
    sha256: str
    environment: Mapping[str, Any]
    created_at: datetime


def imported_networks(source: Source, name: str) -> tuple[ImportedNetwork, ...]:
    """Imported networks of a study, oldest first.

    Raises:
        UnknownNameError: the study does not exist.
    """
    with reading(source) as session:
        study = find_study(session, name)
        found = []
        for row in session.scalars(
            select(ImportedRow).where(ImportedRow.study_id == study.id).order_by(ImportedRow.id)
        ):
            metrics = {
                metric_name(study, metric, target): Value(value, low, high)
                for metric, target, value, low, high in row.metrics
            }
            found.append(
                ImportedNetwork(
                    name=row.name,
                    source=row.source,
                    metrics=metrics,
                    shown=tuple(shown_metrics(study, metrics)),
                    test_scores={metric: Value(*value) for metric, value in row.test_scores.items()},
                    notes=tuple(row.notes),
                    uri=row.uri,
                    sha256=row.sha256,
                    environment=row.environment,
                    created_at=row.created_at,
                )
            )
        return tuple(found)
