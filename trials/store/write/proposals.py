"""Store suggestions: a new network becomes a candidate, a known one is a duplicate."""

from __future__ import annotations

from sqlalchemy import Connection, bindparam, func, insert, select

from nas.strategies import Suggestion
from trials.store.dialect import Clock, Insert, table
from trials.store.models import Architecture, Candidate, JobRow, SuggestionRow
from trials.store.records import AddedJob, ArchitectureValue, Duplicate, Lease, Proposed, Step
from trials.store.write.leases import check_lease

ARCHITECTURES, CANDIDATES, JOBS = table(Architecture), table(Candidate), table(JobRow)
_ADD_ARCHITECTURE = Insert(ARCHITECTURES, ("identity",), returning=("id",))
#: The lock keeps `prune_architectures` of another process from removing the row before a candidate refers to it.
_FIND_ARCHITECTURE = (
    select(ARCHITECTURES.c.id)
    .where(ARCHITECTURES.c.identity == bindparam("identity"))
    .with_for_update(read=True, key_share=True)
)
_FIND_CANDIDATE = select(CANDIDATES.c.id).where(
    CANDIDATES.c.study_id == bindparam("study"), CANDIDATES.c.architecture_id == bindparam("architecture")
)
_FIND_NUMBER = select(CANDIDATES.c.id).where(
    CANDIDATES.c.study_id == bindparam("study"), CANDIDATES.c.number == bindparam("number")
)
_numbered = CANDIDATES.alias("numbered")
_NEXT_NUMBER = (
    select(func.coalesce(func.max(_numbered.c.number) + 1, 0))
    .where(_numbered.c.study_id == bindparam("study"))
    .scalar_subquery()
)
_NEXT_REVISION = (
    select(func.coalesce(func.max(_numbered.c.revision) + 1, 0))
    .where(_numbered.c.study_id == bindparam("study"))
    .scalar_subquery()
)
_ADD_CANDIDATE = (
    insert(CANDIDATES)
    .values(
        study_id=bindparam("study"),
        architecture_id=bindparam("architecture"),
        number=_NEXT_NUMBER,
        state=bindparam("now"),
        created_at=Clock(),
        revision=_NEXT_REVISION,
    )
    .returning(CANDIDATES.c.id, CANDIDATES.c.number)
)
_ADD_SUGGESTION = insert(table(SuggestionRow))
#: A job that exists, because its measurement was quarantined, is queued again.
_QUEUE_JOB = Insert(JOBS, ("candidate_id", "kind", "target"), replace=("state",), returning=("id", "attempt"))
_START_JOB = Insert(
    JOBS,
    ("candidate_id", "kind", "target"),
    replace=("state", "started_at"),
    add=("attempt",),
    values={"started_at": Clock()},
    returning=("id", "attempt"),
)


def propose(
    connection: Connection,
    lease: Lease,
    suggestion: Suggestion,
    architecture: ArchitectureValue,
    first: Step,
    *,
    start: bool = False,
) -> Proposed | Duplicate:
    """Store a suggestion and, if its network is new to the study, a candidate and its first job.

    With ``start``, the job is running at once.

    Raises:
        StudyError: another coordinator has taken the lease.
    """
    check_lease(connection, lease)
    study_id = lease.study_id
    architecture_id, known = _architecture(connection, study_id, architecture)
    if known is not None:
        _suggest(connection, study_id, known, suggestion, duplicate=True)
        return Duplicate(known)
    row = {"study": study_id, "architecture": architecture_id, "now": "running" if start else "queued"}
    added = connection.execute(_ADD_CANDIDATE, row).one()
    _suggest(connection, study_id, added.id, suggestion, duplicate=False)
    return Proposed(added.id, added.number, add_job(connection, added.id, first, start=start).job_id)


def add_job(connection: Connection, candidate_id: int, step: Step, *, start: bool = False) -> AddedJob:
    """Add a job, which is queued, or running with ``start``."""
    kind, target = step
    row = {"candidate_id": candidate_id, "kind": kind, "target": target, "state": "running" if start else "queued"}
    added = (_START_JOB if start else _QUEUE_JOB).run(connection, {**row, "attempt": int(start)}).one()
    return AddedJob(added.id, added.attempt)


def find_candidate(connection: Connection, study_id: int, number: int) -> int:
    """Return the id of a study's candidate."""
    return int(connection.execute(_FIND_NUMBER, {"study": study_id, "number": number}).scalar_one())


def _architecture(connection: Connection, study_id: int, value: ArchitectureValue) -> tuple[int, int | None]:
    """The id of an architecture, which is added if no study has it, and of the study's candidate that has it, if any.

    If several processes add it at once, all get the id of the same row.
    """
    row = {
        "identity": value.identity,
        "space": value.space,
        "definition": dict(value.definition),
        "parameters": value.parameters,
        "macs": value.macs,
        "layers": [dict(layer) for layer in value.layers],
    }
    found = None
    while found is None:  # met, but removed by another process before we hold it: insert again
        added = _ADD_ARCHITECTURE.run(connection, row).scalar_one_or_none()
        if added is not None:
            return added, None
        found = connection.execute(_FIND_ARCHITECTURE, {"identity": value.identity}).scalar_one_or_none()
    known = connection.execute(_FIND_CANDIDATE, {"study": study_id, "architecture": found}).scalar_one_or_none()
    return found, known


def _suggest(
    connection: Connection, study_id: int, candidate_id: int, suggestion: Suggestion, *, duplicate: bool
) -> None:
    questions = [
        [question.name, list(question.options), question.ordered, question.active, question.site]
        for question in suggestion.questions
    ]
    row = {
        "study_id": study_id,
        "candidate_id": candidate_id,
        "number": suggestion.number,
        "duplicate": duplicate,
        "questions": questions,
        "answers": dict(suggestion.answers),
        "sampler_state": dict(suggestion.sampler_state),
        "enqueued": suggestion.enqueued,
    }
    connection.execute(_ADD_SUGGESTION, row)
