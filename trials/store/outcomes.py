"""What a committed job leaves behind: metrics, measurements, files."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import Connection, bindparam, insert, select

from nas.errors import StoreError
from trials.store.dialect import Clock, Insert, table
from trials.store.models import ArtifactRow, Measurement, Metric, Target
from trials.store.records import ArtifactValue, MeasurementValue, MetricValue

_SET_METRICS = Insert(table(Metric), ("candidate_id", "name", "target"), replace=("value", "low", "high"))
_FIND_TARGET = select(table(Target).c.id).where(table(Target).c.name == bindparam("target"))
_ADD_MEASUREMENT = insert(table(Measurement)).values(created_at=Clock())
_ADD_FILE = insert(table(ArtifactRow)).values(created_at=Clock())


def write_metrics(connection: Connection, candidate_id: int, metrics: Sequence[MetricValue]) -> None:
    """Record numbers; a later one of the same name and target replaces the earlier."""
    if metrics:
        _SET_METRICS.run(connection, [{"candidate_id": candidate_id, **vars(metric)} for metric in metrics])


def write_measurements(connection: Connection, candidate_id: int, measurements: Sequence[MeasurementValue]) -> None:
    """Record latencies with their samples.

    Raises:
        StoreError: a target is not in the database.
    """
    for measurement in measurements:
        target_id = connection.execute(_FIND_TARGET, {"target": measurement.target}).scalar_one_or_none()
        if target_id is None:
            raise StoreError(
                f"target {measurement.target!r} is not in the database; it was removed while in use: resume "
                "the study, which adds it again"
            )
        row = {**vars(measurement), "conditions": dict(measurement.conditions)}
        row |= {"candidate_id": candidate_id, "target_id": target_id}
        del row["target"]
        connection.execute(_ADD_MEASUREMENT, row)


def write_files(connection: Connection, candidate_id: int, files: Sequence[ArtifactValue]) -> None:
    """Record stored files."""
    if files:
        rows = [{"candidate_id": candidate_id, **vars(file), "record": dict(file.record)} for file in files]
        connection.execute(_ADD_FILE, rows)
