"""Write final trainings. Only the newest attempt of one changes anything."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Select, bindparam, insert, null, select, update

from nas.errors import StudyError
from trials.store.dialect import Clock, Insert, table, text_of
from trials.store.models import Candidate, FinalEpochRow, FinalTrainingRow, Study
from trials.store.owners import is_gone
from trials.store.write.revisions import touch

TRAININGS, CANDIDATES, STUDIES = table(FinalTrainingRow), table(Candidate), table(Study)
_FIND_CANDIDATE = (
    select(CANDIDATES.c.id)
    .join(STUDIES, STUDIES.c.id == CANDIDATES.c.study_id)
    .where(STUDIES.c.name == bindparam("study"), CANDIDATES.c.number == bindparam("number"))
)
_CURRENT = update(TRAININGS).where(
    TRAININGS.c.id == bindparam("training"),
    TRAININGS.c.attempt == bindparam("current"),
    TRAININGS.c.state == "running",
)
_ADD_EPOCH = Insert(table(FinalEpochRow), ("final_training_id", "epoch"), replace=("values",))


@dataclass(frozen=True)
class FinalAttempt:
    """One attempt of a final training."""

    training_id: int
    attempt: int
    #: Whether an earlier attempt has finished the training.
    complete: bool


def begin_final_training(
    connection: Connection,
    study: str,
    number: int,
    *,
    key: str,
    recipe: Mapping[str, Any],
    environment: Mapping[str, Any],
    owner: str,
) -> FinalAttempt:
    """Begin a final training, or continue one with the same recipe; a complete one stays as it is.

    Raises:
        StudyError: another process runs it.
    """
    candidate_id = connection.execute(_FIND_CANDIDATE, {"study": study, "number": number}).scalar_one()
    where = (TRAININGS.c.candidate_id == candidate_id, TRAININGS.c.key == key)
    found = connection.execute(select(TRAININGS).where(*where).with_for_update()).one_or_none()
    values = {"state": "running", "owner": owner, "environment": dict(environment), "started_at": Clock()}
    if found is None:
        row = {**values, "candidate_id": candidate_id, "key": key, "recipe": dict(recipe), "attempt": 1}
        added = connection.execute(insert(TRAININGS).values(**row).returning(TRAININGS.c.id)).scalar_one()
        return FinalAttempt(int(added), 1, complete=False)
    if found.state == "complete":
        return FinalAttempt(found.id, found.attempt, complete=True)
    if found.state == "running" and found.owner != owner and not is_gone(found.owner):
        raise StudyError(
            f"trial {number} of {study!r} is being trained by {found.owner}; wait until it has ended, or end that "
            "process"
        )
    values |= {"attempt": found.attempt + 1, "error": null(), "traceback": null(), "finished_at": null()}
    connection.execute(update(TRAININGS).where(*where).values(**values))
    return FinalAttempt(found.id, found.attempt + 1, complete=False)


def add_final_epoch(connection: Connection, attempt: FinalAttempt, epoch: int, values: Mapping[str, float]) -> None:
    """Store the values of an epoch; one that was trained again replaces its values.

    Raises:
        StudyError: another process has taken over the training.
    """
    if connection.execute(_CURRENT.values(state="running"), _key(attempt)).rowcount != 1:
        raise StudyError("another process has taken over this final training, or its study was deleted")
    touch(connection, _candidate(attempt))
    row = {"final_training_id": attempt.training_id, "epoch": epoch, "values": dict(values)}
    _ADD_EPOCH.run(connection, row)


def finish_final_training(connection: Connection, attempt: FinalAttempt, result: Mapping[str, Any]) -> None:
    """Store the result of a training."""
    _end(connection, attempt, state="complete", result=dict(result), finished_at=Clock())


def fail_final_training(connection: Connection, attempt: FinalAttempt, error: str, traceback: str) -> None:
    """Store why a training failed."""
    values = {"error": text_of(error), "traceback": text_of(traceback), "finished_at": Clock()}
    _end(connection, attempt, state="failed", **values)


def interrupt_final_training(connection: Connection, attempt: FinalAttempt, reason: str | None) -> None:
    """Store that a training was interrupted; its checkpoint stays."""
    _end(connection, attempt, state="interrupted", error=text_of(reason))


def _end(connection: Connection, attempt: FinalAttempt, **values: Any) -> None:
    connection.execute(_CURRENT.values(owner=null(), **values), _key(attempt))
    touch(connection, _candidate(attempt))


def _candidate(attempt: FinalAttempt) -> Select[int]:
    return select(TRAININGS.c.candidate_id).where(TRAININGS.c.id == attempt.training_id)


def _key(attempt: FinalAttempt) -> dict[str, int]:
    return {"training": attempt.training_id, "current": attempt.attempt}
