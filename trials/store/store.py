"""The store: every write of the engine, each one transaction.

A coordinator writes under a fenced lease: every write names the lease's epoch (through its study or through a job's
attempt), and a write by one that lost it changes nothing.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import Engine
from sqlalchemy.orm import Session

from nas.errors import StudyError, UnknownNameError
from nas.registry import nearest
from nas.strategies import Suggestion
from trials.store import history, jobs, leases, proposals, studies
from trials.store.engine import open_engine, sqlite_path
from trials.store.models import ArtifactRow, Study, Target
from trials.store.records import (
    ArchitectureValue,
    Duplicate,
    JobResult,
    KeptArtifact,
    OpenJob,
    Proposed,
    Step,
    StoredSuggestion,
)


class Store:
    """One database. Safe to use from one thread; every method is one transaction."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.engine: Engine = open_engine(url)

    @property
    def folder(self) -> Path:
        """The folder of an SQLite file, else the working folder: where artifacts go by default."""
        path = sqlite_path(self.engine)
        return path.parent if path else Path.cwd()

    @contextmanager
    def transaction(self) -> Iterator[Session]:
        """A session that commits at the end, or rolls back on an error."""
        engine = self.engine.execution_options(writes=True)
        with Session(engine, expire_on_commit=False) as session, session.begin():
            yield session

    def close(self) -> None:
        """Give connections back."""
        self.engine.dispose()

    # -- studies

    def create_study(self, **columns: Any) -> int:
        """A new study; its id.

        Raises:
            StudyError: the name is taken.
        """
        with self.transaction() as session:
            return studies.create(session, columns)

    def check_name_free(self, name: str) -> None:
        """Raise StudyError if a study of that name exists."""
        with self.transaction() as session:
            studies.check_name_free(session, name)

    def study_row(self, name: str) -> Study:
        """The study called ``name``, detached.

        Raises:
            UnknownNameError: there is none, with the nearest name.
        """
        with self.transaction() as session:
            row = studies.find(session, name)
            if row is None:
                known = studies.names(session)
                raise UnknownNameError(
                    f"no study {name!r} in {self.engine.url.render_as_string()}{nearest(name, known)}; "
                    f"it has: {', '.join(known[:20]) or 'none yet'}"
                )
            return row

    def delete_study(self, name: str) -> None:
        """Remove a study and all that hangs on it; its files are the caller's."""
        row = self.study_row(name)
        with self.transaction() as session:
            if leases.is_held(session, row.id):
                raise StudyError(f"study {name!r} is running; stop it before deleting it")
            studies.delete(session, row.id)

    # -- the coordinator's lease

    def check_lease_free(self, study_id: int, owner: str) -> None:
        """Raise StudyError if another live coordinator holds the study."""
        with self.transaction() as session:
            leases.check_free(session, study_id, owner)

    def acquire(self, study_id: int, owner: str, ttl_s: float) -> int:
        """Take the lease; its epoch.

        Raises:
            StudyError: another live coordinator holds it.
        """
        with self.transaction() as session:
            return leases.acquire(session, study_id, owner, ttl_s)

    def renew(self, study_id: int, epoch: int, ttl_s: float) -> bool:
        """Extend the lease; False if it is another's by now."""
        with self.transaction() as session:
            return leases.renew(session, study_id, epoch, ttl_s)

    def release(
        self, study_id: int, epoch: int, state: str, totals: Mapping[str, float], error: str | None = None
    ) -> None:
        """End coordinating, in a state."""
        with self.transaction() as session:
            leases.release(session, study_id, epoch, state, totals, error)

    def save_totals(self, study_id: int, epoch: int, totals: Mapping[str, float]) -> None:
        """Keep running totals."""
        with self.transaction() as session:
            leases.check(session, study_id, epoch)
            studies.save_totals(session, study_id, totals)

    # -- candidates and jobs

    def propose(
        self,
        study_id: int,
        epoch: int,
        suggestion: Suggestion,
        architecture: ArchitectureValue,
        first: Step,
    ) -> Proposed | Duplicate:
        """Store a suggestion, and a candidate with its first job unless the study has one of that identity.

        Raises:
            StudyError: the lease is another's by now.
        """
        with self.transaction() as session:
            leases.check(session, study_id, epoch)
            return proposals.propose(session, study_id, suggestion, architecture, first)

    def start_job(self, job_id: int, lease_s: float) -> int:
        """Mark a queued job as running; the attempt's number.

        Raises:
            StudyError: it is not queued.
        """
        with self.transaction() as session:
            return jobs.start(session, job_id, lease_s)

    def renew_job(self, job_id: int, attempt: int, lease_s: float) -> bool:
        """Extend a job's lease; False if the attempt is over."""
        with self.transaction() as session:
            return jobs.renew(session, job_id, attempt, lease_s)

    def requeue_job(self, job_id: int, attempt: int, error: str) -> bool:
        """Put a job back whose worker was lost; False if the attempt is over."""
        with self.transaction() as session:
            return jobs.requeue(session, job_id, attempt, error)

    def commit_job(self, job_id: int, attempt: int, outcome: JobResult) -> list[int] | None:
        """Write a job's outcome; ids of the next jobs, or None where the attempt is over and nothing was written."""
        with self.transaction() as session:
            return jobs.commit(session, job_id, attempt, outcome)

    def fail_job(self, job_id: int, attempt: int, error: str, traceback: str) -> bool:
        """Mark a job and its candidate failed; False if the attempt is over."""
        with self.transaction() as session:
            return jobs.fail(session, job_id, attempt, error, traceback)

    def stop_candidate(self, candidate_id: int, reason: str) -> None:
        """End a candidate and its open jobs without a result."""
        with self.transaction() as session:
            jobs.stop(session, candidate_id, reason)

    def add_epochs(
        self,
        candidate_id: int,
        job_id: int,
        attempt: int,
        epochs: Sequence[tuple[int, Mapping[str, float]]],
    ) -> None:
        """Add points of a curve; those that are there already stay."""
        with self.transaction() as session:
            if jobs.is_current(session, job_id, attempt):
                jobs.add_epochs(session, candidate_id, epochs)

    # -- history

    def recover(self, study_id: int, epoch: int) -> int:
        """Put jobs that a dead coordinator left running back into the queue; how many."""
        with self.transaction() as session:
            leases.check(session, study_id, epoch)
            return jobs.recover(session, study_id)

    def open_jobs(self, study_id: int) -> list[OpenJob]:
        """Queued jobs of open candidates, oldest candidate first, with what is known of them."""
        with self.transaction() as session:
            return history.open_jobs(session, study_id)

    def observations(self, study_id: int) -> list[StoredSuggestion]:
        """Every suggestion in order, with the state and metrics of its candidate."""
        with self.transaction() as session:
            return history.observations(session, study_id)

    # -- artifacts

    def kept_artifacts(self, name: str) -> list[KeptArtifact]:
        """Files of a study that were not deleted."""
        with self.transaction() as session:
            return history.kept_artifacts(session, name)

    def mark_deleted(self, artifact_id: int) -> None:
        """Note that retention removed a file."""
        with self.transaction() as session:
            session.get_one(ArtifactRow, artifact_id).deleted_at = leases.now(session)

    # -- targets

    def add_target(self, name: str, description: Mapping[str, Any], references: Mapping[str, Any]) -> None:
        """Remember a calibrated target; a second one of the name is ignored."""
        with self.transaction() as session:
            studies.add_target(session, name, description, references)

    def target(self, name: str) -> Target | None:
        """The target called ``name``."""
        with self.transaction() as session:
            return studies.find_target(session, name)
