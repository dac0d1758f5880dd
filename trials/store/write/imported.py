"""Write imported networks."""

from __future__ import annotations

from sqlalchemy import Connection, delete, insert, select

from nas.errors import StudyError
from trials.store.dialect import Clock, table
from trials.store.models import ImportedMeasurement, ImportedRow, Study, Target
from trials.store.records import ImportedValue

STUDIES, IMPORTED, MEASUREMENTS = table(Study), table(ImportedRow), table(ImportedMeasurement)
TARGETS = table(Target)


def check_import_free(connection: Connection, study: str, name: str) -> None:
    """Raise StudyError if the study has an imported network of this name."""
    ours = select(STUDIES.c.id).where(STUDIES.c.name == study)
    taken = select(IMPORTED.c.id).where(IMPORTED.c.study_id.in_(ours), IMPORTED.c.name == name)
    if connection.execute(taken).one_or_none():
        raise StudyError(
            f"study {study!r} has an imported network {name!r}; give another --name, or replace it with --force (in "
            "Python, name=… or force=True)"
        )


def add_imported(connection: Connection, study: str, value: ImportedValue, *, force: bool) -> None:
    """Add an imported network with its measurements; with ``force``, it replaces one of the same name.

    Raises:
        StudyError: the name is taken, and ``force`` is false.
    """
    if not force:
        check_import_free(connection, study, value.name)
    study_id = connection.execute(select(STUDIES.c.id).where(STUDIES.c.name == study)).scalar_one()
    connection.execute(delete(IMPORTED).where(IMPORTED.c.study_id == study_id, IMPORTED.c.name == value.name))
    row = {
        "study_id": study_id,
        "name": value.name,
        "source": dict(value.source),
        "uri": value.file.uri,
        "sha256": value.file.sha256,
        "size_bytes": value.file.size_bytes,
        "metrics": [[item.name, item.target, item.value, item.low, item.high] for item in value.metrics],
        "test_scores": {metric: list(found) for metric, found in value.test_scores.items()},
        "notes": list(value.notes),
        "environment": dict(value.environment),
    }
    statement = insert(IMPORTED).values(created_at=Clock(), **row).returning(IMPORTED.c.id)
    imported_id = connection.execute(statement).scalar_one()
    for item in value.measurements:
        target_id = connection.execute(select(TARGETS.c.id).where(TARGETS.c.name == item.target)).scalar_one()
        measured = {
            "latency_ms": item.latency_ms,
            "low_ms": item.low_ms,
            "high_ms": item.high_ms,
            "conditions": dict(item.conditions),
            "samples": item.samples,
        }
        keys = {"imported_id": imported_id, "target_id": target_id}
        connection.execute(insert(MEASUREMENTS).values(created_at=Clock(), **keys, **measured))
