"""The store: every write of the engine, each one transaction.

A coordinator writes under a fenced lease: every write names the lease's epoch or a job's attempt, and a write
by one that lost it changes nothing.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from functools import cached_property
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, select, update
from sqlalchemy.exc import IntegrityError, OperationalError
from sqlalchemy.orm import Session

from nas.errors import StoreError, StudyError, UnknownNameError
from nas.registry import nearest
from nas.strategies import Suggestion
from trials.store import history, identity, jobs, leases, outcomes, proposals, repeats, studies, targets, trust
from trials.store.dialect import Clock
from trials.store.engine import open_engine, sqlite_path
from trials.store.identity import Identity
from trials.store.models import ArtifactRow, Study, Target
from trials.store.read_only import check_writable
from trials.store.records import (
    ArchitectureValue,
    Duplicate,
    Earlier,
    ExportValue,
    JobResult,
    KeptArtifact,
    KnownMeasurement,
    OpenJob,
    ProfileValue,
    Proposed,
    Reopened,
    Step,
    StoredSuggestion,
    TargetRow,
)
from trials.store.urls import shown


class Store:
    """One database. Safe to use from one thread; every method is one transaction."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.engine: Engine = open_engine(url)
        self._writer: Engine = self.engine.execution_options(writes=True)

    @property
    def folder(self) -> Path:
        """The folder of an SQLite file, else the working folder: where artifacts go by default."""
        path = sqlite_path(self.engine)
        return path.parent if path else Path.cwd()

    @cached_property
    def identity(self) -> Identity:
        """Tells this database from any other, its copies included; part of the path of every file of a study."""
        with self.reading() as connection:
            found = identity.read(connection)
        if found is None:
            with self.transaction() as connection:
                found = identity.claim(connection)
        return found

    @contextmanager
    def transaction(self) -> Iterator[Connection]:
        """A connection that commits at the end, or rolls back on an error.

        Raises:
            StoreError: the database went away, or another writer kept it for too long.
        """
        with self._begin(self._writer) as connection:
            yield connection

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """A connection that sees one state of the database and keeps no writer waiting."""
        with self._begin(self.engine) as connection:
            yield connection

    @contextmanager
    def _begin(self, engine: Engine) -> Iterator[Connection]:
        try:
            with engine.begin() as connection:
                yield connection
        except OperationalError as error:
            where, reason = shown(self.engine.url), str(error.orig).strip()
            raise StoreError(f"{where}: {reason}; this was not written, `nas resume` goes on from there") from error

    def check_writable(self) -> None:
        """Raise StoreError if it can only be read: asked before work is done whose result would be stored."""
        check_writable(self.engine)

    def close(self) -> None:
        """Give connections back."""
        self.engine.dispose()

    # -- studies

    def create_study(self, **columns: Any) -> int:
        """A new study; its id.

        Raises:
            StudyError: the name is taken.
        """
        with self.transaction() as connection:
            return studies.create(connection, columns)

    def check_name_free(self, name: str) -> None:
        """Raise StudyError if a study of that name exists."""
        with self.reading() as connection:
            studies.check_name_free(connection, name)

    def study_row(self, name: str) -> Study:
        """The study called ``name``, detached.

        Raises:
            UnknownNameError: there is none, with the nearest name.
        """
        with self.reading() as connection, Session(connection, expire_on_commit=False) as session:
            row = session.scalar(select(Study).where(Study.name == name))
            if row is None:
                known = studies.names(connection)
                raise UnknownNameError(
                    f"no study {name!r} in {shown(self.engine.url)}{nearest(name, known)}; "
                    f"it has: {', '.join(known[:20]) or 'none yet'}"
                )
            session.expunge(row)
            return row

    def delete_study(self, name: str) -> None:
        """Remove a study and all that hangs on it; its files are the caller's.

        Raises:
            UnknownNameError: there is none.
            StudyError: a live coordinator holds it.
        """
        row = self.study_row(name)
        with self.transaction() as connection:
            if leases.is_held(connection, row.id):
                raise StudyError(
                    f"study {name!r} is coordinated by {row.lease_owner}; end that process, then delete it"
                )
            studies.remove(connection, row.id)
        with suppress(IntegrityError), self.transaction() as connection:
            studies.prune(connection)  # what another study proposes this moment stays

    # -- the coordinator's lease

    def check_lease_free(self, study_id: int, owner: str) -> None:
        """Raise StudyError if another live coordinator holds the study."""
        with self.reading() as connection:
            leases.check_free(connection, study_id, owner)

    def acquire(self, study_id: int, owner: str, ttl_s: float) -> int:
        """Take the lease; its epoch.

        Raises:
            StudyError: another live coordinator holds it.
        """
        with self.transaction() as connection:
            return leases.acquire(connection, study_id, owner, ttl_s)

    def renew(self, study_id: int, epoch: int, ttl_s: float) -> bool:
        """Extend the lease; False if it is another's by now."""
        with self.transaction() as connection:
            return leases.renew(connection, study_id, epoch, ttl_s)

    def release(
        self, study_id: int, epoch: int, state: str, totals: Mapping[str, float], error: str | None = None
    ) -> None:
        """End coordinating, in a state."""
        with self.transaction() as connection:
            leases.release(connection, study_id, epoch, state, totals, error)

    def save_totals(self, study_id: int, epoch: int, totals: Mapping[str, float]) -> None:
        """Keep running totals."""
        with self.transaction() as connection:
            leases.check(connection, study_id, epoch)
            studies.save_totals(connection, study_id, totals)

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
        with self.transaction() as connection:
            leases.check(connection, study_id, epoch)
            return proposals.propose(connection, study_id, suggestion, architecture, first)

    def start_job(self, job_id: int, lease_s: float, *, epoch: int | None = None) -> int:
        """Mark a queued job as running; the attempt's number. ``epoch``: of the lease the caller holds.

        Raises:
            StudyError: it is not queued, or the lease is another's by now.
        """
        with self.transaction() as connection:
            return jobs.start(connection, job_id, lease_s, epoch)

    def renew_job(self, job_id: int, attempt: int, lease_s: float) -> bool:
        """Extend a job's lease; False if the attempt is over."""
        with self.transaction() as connection:
            return jobs.renew(connection, job_id, attempt, lease_s)

    def requeue_job(self, job_id: int, attempt: int, error: str) -> bool:
        """Put a job back whose worker was lost; False if the attempt is over."""
        with self.transaction() as connection:
            return jobs.requeue(connection, job_id, attempt, error)

    def commit_job(self, job_id: int, attempt: int, outcome: JobResult) -> list[int] | None:
        """Write a job's outcome; ids of the next jobs, or None where the attempt is over."""
        with self.transaction() as connection:
            return jobs.commit(connection, job_id, attempt, outcome)

    def fail_job(self, job_id: int, attempt: int, error: str, traceback: str) -> bool:
        """Mark a job and its candidate failed; False if the attempt is over."""
        with self.transaction() as connection:
            return jobs.fail(connection, job_id, attempt, error, traceback)

    def stop_candidate(self, candidate_id: int, reason: str, *, epoch: int | None = None) -> None:
        """End a candidate and its open jobs without a result. ``epoch``: of the lease the caller holds.

        Raises:
            StudyError: the lease is another's by now.
        """
        with self.transaction() as connection:
            jobs.stop(connection, candidate_id, reason, epoch)

    def add_epochs(
        self,
        candidate_id: int,
        job_id: int,
        attempt: int,
        epochs: Sequence[tuple[int, Mapping[str, float]]],
    ) -> None:
        """Add points of a curve; an epoch trained again replaces its point. A late attempt adds nothing."""
        with self.transaction() as connection:
            jobs.add_epochs(connection, candidate_id, job_id, attempt, epochs)

    # -- history

    def recover(self, study_id: int, epoch: int) -> int:
        """Put jobs that a dead coordinator left running back into the queue; how many."""
        with self.transaction() as connection:
            leases.check(connection, study_id, epoch)
            return jobs.recover(connection, study_id)

    def open_jobs(self, study_id: int) -> list[OpenJob]:
        """Queued jobs of open candidates, oldest candidate first, with what is known of them."""
        with self.reading() as connection:
            return history.open_jobs(connection, study_id)

    def observations(self, study_id: int) -> list[StoredSuggestion]:
        """Every suggestion in order, with the state and metrics of its candidate."""
        with self.reading() as connection:
            return history.observations(connection, study_id)

    def twins(self, study_id: int) -> dict[tuple[str, str], Mapping[str, float]]:
        """Dense twins that a study has timed: (identity, target) → ``latency_ms``, ``low_ms``, ``high_ms``."""
        with self.reading() as connection:
            return history.twins(connection, study_id)

    # -- second looks at complete candidates

    def repeats(self, study_id: int) -> Counter[tuple[int, str, str]]:
        """(candidate's number, ``remeasure`` or ``retrain``, target) → how often, in whatever state."""
        with self.reading() as connection:
            return repeats.counts(connection, study_id)

    def ages_s(self, study_id: int) -> dict[tuple[int, str], float]:
        """(candidate's number, target) → seconds since it was last measured there."""
        with self.reading() as connection:
            return repeats.ages_s(connection, study_id)

    def queue_repeat(self, study_id: int, epoch: int, number: int, step: Step) -> OpenJob:
        """Add a job to a complete candidate.

        Raises:
            StudyError: the lease is another's by now.
        """
        with self.transaction() as connection:
            leases.check(connection, study_id, epoch)
            return repeats.queue(connection, study_id, number, step)

    def earlier(self, candidate_id: int, target: str, structure_hash: str) -> list[Earlier]:
        """Raw samples of a candidate on a target, oldest measurement first."""
        with self.reading() as connection:
            return repeats.earlier(connection, candidate_id, target, structure_hash)

    # -- which measurements are to be trusted

    def target_descriptions(self) -> dict[int, Mapping[str, Any]]:
        """Id → description of every target."""
        with self.reading() as connection:
            return trust.targets(connection)

    def known_conditions(
        self, target_ids: Sequence[int], protocol: int, runtime_version: str, most: int
    ) -> list[tuple[str, Mapping[str, Any], float, float]]:
        """(structure hash, conditions, latency, lower end) of measurements that may answer, the latest first."""
        with self.reading() as connection:
            return trust.conditions(connection, target_ids, protocol, runtime_version, most)

    def known_measurements(self, target_ids: Sequence[int], structure_hash: str) -> list[KnownMeasurement]:
        """Measurements of a structure that may answer, the latest first."""
        with self.reading() as connection:
            return trust.known(connection, target_ids, structure_hash)

    def verify(self, study_id: int, epoch: int, target: str) -> None:
        """A canary was good: so is what the study measured on the target since the last one."""
        with self.transaction() as connection:
            leases.check(connection, study_id, epoch)
            trust.verify(connection, study_id, target)

    def quarantine(self, study_id: int, epoch: int, target: str) -> Reopened:
        """A canary was bad: mark what the study measured on the target since the last good one, to be done again."""
        with self.transaction() as connection:
            leases.check(connection, study_id, epoch)
            return trust.quarantine(connection, study_id, target)

    # -- artifacts

    def kept_artifacts(self, name: str) -> list[KeptArtifact]:
        """Files of a study that were not deleted."""
        with self.reading() as connection:
            return history.kept_artifacts(connection, name)

    def mark_deleted(self, artifact_id: int) -> None:
        """Note that retention removed a file."""
        with self.transaction() as connection:
            connection.execute(update(ArtifactRow).where(ArtifactRow.id == artifact_id).values(deleted_at=Clock()))

    # -- what is added to finished candidates

    def add_profile(self, study: str, number: int, profile: ProfileValue) -> None:
        """Remember where a candidate's time goes on a target."""
        with self.transaction() as connection:
            outcomes.write_profile(connection, study, number, profile)

    def add_export(self, study: str, number: int, export: ExportValue) -> None:
        """Remember that a candidate was exported, and its scores."""
        with self.transaction() as connection:
            outcomes.write_export(connection, study, number, export)

    # -- targets

    def add_target(self, name: str, description: Mapping[str, Any], references: Mapping[str, Any]) -> None:
        """Remember a calibrated target; a second one of the name is ignored."""
        with self.transaction() as connection:
            targets.add(connection, name, description, references)

    def targets(self) -> list[TargetRow]:
        """Every target, by name."""
        with self.reading() as connection:
            return targets.rows(connection)

    def remove_target(self, name: str) -> int:
        """Remove a target unless measurements are about it; how many are."""
        with self.transaction() as connection:
            return targets.remove(connection, name)

    def target(self, name: str) -> Target | None:
        """The target called ``name``, detached."""
        with self.reading() as connection, Session(connection, expire_on_commit=False) as session:
            row = session.scalar(select(Target).where(Target.name == name))
            if row is not None:
                session.expunge(row)
            return row
