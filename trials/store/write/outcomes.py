"""Write the rows of a committed job (metrics, measurements, files) and of later commands (profiles, exports)."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import Connection, bindparam, insert, select, update

from nas.errors import StoreError
from trials.store.dialect import Clock, Insert, table
from trials.store.models import (
    ArtifactRow,
    Candidate,
    ExportRow,
    Measurement,
    Metric,
    ProfileRow,
    Study,
    Target,
)
from trials.store.records import ArtifactValue, ExportValue, MeasurementValue, MetricValue, ProfileValue
from trials.store.write.revisions import touch

_SET_METRICS = Insert(table(Metric), ("candidate_id", "name", "target"), replace=("value", "low", "high"))
_METRIC = ("name", "target", "value", "low", "high")
_FIND_TARGET = select(table(Target).c.id).where(table(Target).c.name == bindparam("target"))
_ADD_MEASUREMENT = insert(table(Measurement)).values(created_at=Clock())
_ADD_FILE = insert(table(ArtifactRow)).values(created_at=Clock())
_MARK_DELETED = (
    update(table(ArtifactRow)).where(table(ArtifactRow).c.id == bindparam("artifact")).values(deleted_at=Clock())
)
_ADD_PROFILE = insert(table(ProfileRow)).values(created_at=Clock())
_ADD_EXPORT = insert(table(ExportRow)).values(created_at=Clock())
_FIND_CANDIDATE = (
    select(table(Candidate).c.id)
    .join(table(Study), table(Study).c.id == table(Candidate).c.study_id)
    .where(table(Study).c.name == bindparam("study"), table(Candidate).c.number == bindparam("number"))
)


def write_metrics(connection: Connection, candidate_id: int, metrics: Sequence[MetricValue]) -> None:
    """Record metrics; a later value of the same name and target replaces the earlier one."""
    if metrics:
        row = {"candidate_id": candidate_id}
        _SET_METRICS.run(connection, [row | {name: getattr(item, name) for name in _METRIC} for item in metrics])


def write_measurements(connection: Connection, candidate_id: int, measurements: Sequence[MeasurementValue]) -> None:
    """Record latencies with their samples.

    Raises:
        StoreError: a target is not in the database.
    """
    ids = {name: _target_id(connection, name) for name in dict.fromkeys(item.target for item in measurements)}
    for measurement in measurements:
        row = {**vars(measurement), "conditions": dict(measurement.conditions)}
        row |= {"candidate_id": candidate_id, "target_id": ids[row.pop("target")]}
        connection.execute(_ADD_MEASUREMENT, row)


def write_files(connection: Connection, candidate_id: int, files: Sequence[ArtifactValue]) -> None:
    """Record stored files."""
    if files:
        rows = [{"candidate_id": candidate_id, **vars(file), "record": dict(file.record)} for file in files]
        connection.execute(_ADD_FILE, rows)


def mark_deleted(connection: Connection, artifact_id: int) -> None:
    """Note that retention removed a file."""
    connection.execute(_MARK_DELETED, {"artifact": artifact_id})


def add_profile(connection: Connection, study: str, number: int, profile: ProfileValue) -> None:
    """Record the time of each layer of a candidate on a target.

    Raises:
        StoreError: its target is not in the database.
    """
    row = {**vars(profile), "nodes": [dict(node) for node in profile.nodes]}
    row |= {
        "candidate_id": _candidate_id(connection, study, number),
        "target_id": _target_id(connection, row.pop("target")),
    }
    connection.execute(_ADD_PROFILE, row)
    touch(connection, row["candidate_id"])


def add_export(connection: Connection, study: str, number: int, export: ExportValue) -> None:
    """Record an export of a candidate and its scores."""
    scores = {split: {key: list(value) for key, value in found.items()} for split, found in export.scores.items()}
    candidate_id = _candidate_id(connection, study, number)
    connection.execute(_ADD_EXPORT, {"candidate_id": candidate_id, **vars(export), "scores": scores})
    touch(connection, candidate_id)


def _candidate_id(connection: Connection, study: str, number: int) -> int:
    return int(connection.execute(_FIND_CANDIDATE, {"study": study, "number": number}).scalar_one())


def _target_id(connection: Connection, name: str) -> int:
    found = connection.execute(_FIND_TARGET, {"target": name}).scalar_one_or_none()
    if found is None:
        raise StoreError(
            f"target {name!r} is not in the database, because it was removed while it was in use; "
            "`nas resume` adds it again"
        )
    return int(found)
