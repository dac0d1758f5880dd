"""The store: every write of the engine, each one transaction.

A coordinator writes under a fenced lease: every write names the lease's epoch or a job's attempt, and a write
by one that lost it changes nothing.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, suppress
from functools import cached_property, wraps
from pathlib import Path
from typing import Any, Concatenate, ParamSpec, TypeVar

from sqlalchemy import Connection, Engine, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from nas.errors import StudyError, UnknownNameError
from nas.registry import nearest
from nas.strategies import Suggestion
from trials.store import identity, twins
from trials.store.database.engine import open_engine, sqlite_path
from trials.store.database.read_only import check_writable
from trials.store.database.transactions import Transactions
from trials.store.database.urls import shown
from trials.store.dialect import Clock
from trials.store.identity import Identity
from trials.store.models import ArtifactRow, Study, Target
from trials.store.records import (
    Account,
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
from trials.store.write import history, jobs, leases, outcomes, proposals, repeats, studies, targets, trust

P = ParamSpec("P")
T = TypeVar("T")


def _transacted(
    method: Callable[Concatenate[Store, Connection, P], T], *, writes: bool
) -> Callable[Concatenate[Store, P], T]:
    @wraps(method)
    def run(store: Store, /, *arguments: P.args, **options: P.kwargs) -> T:
        work: Callable[[Connection], T] = lambda connection: method(store, connection, *arguments, **options)  # noqa: E731
        return store.transactions.run(work, writes=writes)

    return run


def _writing(method: Callable[Concatenate[Store, Connection, P], T]) -> Callable[Concatenate[Store, P], T]:
    """A method that is one transaction, whose connection it is given."""
    return _transacted(method, writes=True)


def _reading(method: Callable[Concatenate[Store, Connection, P], T]) -> Callable[Concatenate[Store, P], T]:
    """A method that reads one state of the database, in a connection it is given."""
    return _transacted(method, writes=False)


class Store:
    """One database. Safe to use from one thread; every method is one transaction.

    With patience, a method whose database goes away waits for it and then takes place once.
    """

    def __init__(self, url: str, *, patience_s: float = 0.0) -> None:
        """Open; ``patience_s``: how long a method waits for a database that went away."""
        self.url = url
        self.engine: Engine = open_engine(url)
        self.transactions = Transactions(self.engine, patience_s)

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

    def transaction(self) -> AbstractContextManager[Connection]:
        """A connection that commits at the end, or rolls back on an error.

        Raises:
            StoreError: the database went away, or another writer kept it for too long.
        """
        return self.transactions.begin(writes=True)

    def reading(self) -> AbstractContextManager[Connection]:
        """A connection that sees one state of the database and keeps no writer waiting."""
        return self.transactions.begin(writes=False)

    def check_writable(self) -> None:
        """Raise StoreError if it can only be read: asked before work is done whose result would be stored."""
        check_writable(self.engine)

    def close(self) -> None:
        """Give connections back."""
        self.engine.dispose()

    # -- studies

    @_writing
    def create_study(self, connection: Connection, /, **columns: Any) -> int:
        """A new study; its id.

        Raises:
            StudyError: the name is taken.
        """
        return studies.create(connection, columns)

    @_reading
    def check_name_free(self, connection: Connection, name: str) -> None:
        """Raise StudyError if a study of that name exists."""
        studies.check_name_free(connection, name)

    @_reading
    def study_row(self, connection: Connection, name: str) -> Study:
        """The study called ``name``, detached.

        Raises:
            UnknownNameError: there is none, with the nearest name.
        """
        with Session(connection, expire_on_commit=False) as session:
            row = session.scalar(select(Study).where(Study.name == name))
            if row is None:
                known = studies.names(connection)
                hint = nearest(name, known, f"it has: {', '.join(known[:20]) or 'none yet'}")
                raise UnknownNameError(f"no study {name!r} in {shown(self.engine.url)}{hint}")
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

    @_reading
    def check_lease_free(self, connection: Connection, study_id: int, owner: str) -> None:
        """Raise StudyError if another live coordinator holds the study."""
        leases.check_free(connection, study_id, owner)

    @_writing
    def acquire(
        self, connection: Connection, study_id: int, owner: str, ttl_s: float, *, state: str = "running"
    ) -> int:
        """Take the lease, to prepare or to run the study; its epoch.

        Raises:
            StudyError: another live coordinator holds it.
        """
        return leases.acquire(connection, study_id, owner, ttl_s, state)

    @_writing
    def renew(
        self,
        connection: Connection,
        study_id: int,
        epoch: int,
        ttl_s: float,
        totals: Mapping[str, float],
        phase: str | None = None,
    ) -> bool:
        """Extend the lease, keep the running totals and what is being done; False if the lease is another's by now."""
        return leases.renew(connection, study_id, epoch, ttl_s, totals, phase)

    @_writing
    def set_phase(self, connection: Connection, study_id: int, epoch: int, phase: str, ttl_s: float) -> None:
        """Extend the lease and note what is being done.

        Raises:
            StudyError: the lease is another's by now.
        """
        leases.say(connection, study_id, epoch, phase, ttl_s)

    @_writing
    def finish_preparing(
        self, connection: Connection, study_id: int, limits: Mapping[str, Any], environment: Mapping[str, Any]
    ) -> None:
        """Store what was found out about a study before its start."""
        studies.finish_preparing(connection, study_id, limits, environment)

    @_reading
    def is_held(self, connection: Connection, study_id: int) -> bool:
        """Whether a live process prepares or coordinates a study."""
        return leases.is_held(connection, study_id)

    @_writing
    def release(
        self,
        connection: Connection,
        study_id: int,
        epoch: int,
        state: str,
        totals: Mapping[str, float],
        error: str | None = None,
    ) -> None:
        """End coordinating, in a state."""
        leases.release(connection, study_id, epoch, state, totals, error)

    @_writing
    def extend_study(
        self,
        connection: Connection,
        study_id: int,
        epoch: int,
        plan: Mapping[str, Any],
        limits: Mapping[str, Any],
        broken: Mapping[int, str],
    ) -> None:
        """Give a study another plan and limits, and its lease back; ``broken``: candidates that a limit now rejects."""
        leases.check(connection, study_id, epoch)
        studies.extend(connection, study_id, plan, limits, broken)

    @_writing
    def set_limits(self, connection: Connection, study_id: int, epoch: int, limits: Mapping[str, Any]) -> None:
        """Replace the resolved limits: those relative to the original have their numbers now.

        Raises:
            StudyError: the lease is another's by now.
        """
        leases.check(connection, study_id, epoch)
        studies.set_limits(connection, study_id, limits)

    # -- candidates and jobs

    @_writing
    def propose(
        self,
        connection: Connection,
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
        leases.check(connection, study_id, epoch)
        return proposals.propose(connection, study_id, suggestion, architecture, first)

    @_writing
    def start_job(self, connection: Connection, job_id: int, lease_s: float, *, epoch: int | None = None) -> int:
        """Mark a queued job as running; the attempt's number. ``epoch``: of the lease the caller holds.

        Raises:
            StudyError: it is not queued, or the lease is another's by now.
        """
        return jobs.start(connection, job_id, lease_s, epoch)

    @_writing
    def renew_job(self, connection: Connection, job_id: int, attempt: int, lease_s: float) -> bool:
        """Extend a job's lease; False if the attempt is over."""
        return jobs.renew(connection, job_id, attempt, lease_s)

    @_writing
    def requeue_job(self, connection: Connection, job_id: int, attempt: int, error: str) -> bool:
        """Put a job back whose worker was lost; False if the attempt is over."""
        return jobs.requeue(connection, job_id, attempt, error)

    @_writing
    def commit_job(
        self,
        connection: Connection,
        job_id: int,
        attempt: int,
        outcome: JobResult,
        *,
        account: Account | None = None,
    ) -> list[int] | None:
        """Write a job's outcome, and what the study has spent then; ids of the next jobs, None if the attempt is over.

        An account under a lease that is another's by now is not written.
        """
        following = jobs.commit(connection, job_id, attempt, outcome)
        if account is not None and following is not None:
            leases.keep_totals(connection, account.study_id, account.epoch, account.totals)
        return following

    @_writing
    def fail_job(self, connection: Connection, job_id: int, attempt: int, error: str, traceback: str) -> bool:
        """Mark a job and its candidate failed; False if the attempt is over."""
        return jobs.fail(connection, job_id, attempt, error, traceback)

    @_writing
    def stop_candidate(
        self, connection: Connection, candidate_id: int, reason: str, *, epoch: int | None = None
    ) -> None:
        """End a candidate and its open jobs without a result. ``epoch``: of the lease the caller holds.

        Raises:
            StudyError: the lease is another's by now.
        """
        jobs.stop(connection, candidate_id, reason, epoch)

    @_writing
    def add_epochs(
        self,
        connection: Connection,
        candidate_id: int,
        job_id: int,
        attempt: int,
        epochs: Sequence[tuple[int, Mapping[str, float]]],
    ) -> None:
        """Add points of a curve; an epoch trained again replaces its point. A late attempt adds nothing."""
        jobs.add_epochs(connection, candidate_id, job_id, attempt, epochs)

    # -- history

    @_writing
    def recover(self, connection: Connection, study_id: int, epoch: int) -> int:
        """Put jobs that a dead coordinator left running back into the queue; how many."""
        leases.check(connection, study_id, epoch)
        return jobs.recover(connection, study_id)

    @_reading
    def open_jobs(self, connection: Connection, study_id: int) -> list[OpenJob]:
        """Queued jobs of open candidates, oldest candidate first, with what is known of them."""
        return history.open_jobs(connection, study_id)

    @_reading
    def observations(self, connection: Connection, study_id: int) -> list[StoredSuggestion]:
        """Every suggestion in order, with the state and metrics of its candidate."""
        return history.observations(connection, study_id)

    @_reading
    def twins(self, connection: Connection, study_id: int) -> dict[tuple[str, str], Mapping[str, float]]:
        """Dense twins that a study has timed: (identity, target) → ``latency_ms``, ``low_ms``, ``high_ms``."""
        return history.twins(connection, study_id)

    def num_untimed_twins(self, study_id: int) -> int:
        """Dense twins of complete candidates that could not be timed."""
        with self.reading() as connection:
            return twins.count(connection, study_id)

    def reopen_twins(self, study_id: int, epoch: int) -> list[OpenJob]:
        """Queue the jobs of dense twins that could not be timed.

        Raises:
            StudyError: the lease is another's by now.
        """
        with self.transaction() as connection:
            leases.check(connection, study_id, epoch)
            return twins.reopen(connection, study_id)

    # -- repeats of complete candidates

    @_reading
    def repeats(self, connection: Connection, study_id: int) -> Counter[tuple[int, str, str]]:
        """(candidate's number, ``remeasure`` or ``retrain``, target) → how often, in whatever state."""
        return repeats.counts(connection, study_id)

    @_reading
    def ages_s(self, connection: Connection, study_id: int) -> dict[tuple[int, str], float]:
        """(candidate's number, target) → seconds since it was last measured there."""
        return repeats.ages_s(connection, study_id)

    @_writing
    def queue_repeat(self, connection: Connection, study_id: int, epoch: int, number: int, step: Step) -> OpenJob:
        """Add a job to a complete candidate.

        Raises:
            StudyError: the lease is another's by now.
        """
        leases.check(connection, study_id, epoch)
        return repeats.queue(connection, study_id, number, step)

    @_reading
    def earlier(self, connection: Connection, candidate_id: int, target: str, structure_hash: str) -> list[Earlier]:
        """Raw samples of a candidate on a target, oldest measurement first."""
        return repeats.earlier(connection, candidate_id, target, structure_hash)

    # -- which measurements are to be trusted

    @_reading
    def target_descriptions(self, connection: Connection) -> dict[int, Mapping[str, Any]]:
        """Id → description of every target."""
        return trust.targets(connection)

    @_reading
    def known_conditions(
        self, connection: Connection, target_ids: Sequence[int], protocol: int, runtime_version: str, limit: int
    ) -> list[tuple[str, Mapping[str, Any], float, float]]:
        """(structure hash, conditions, latency, lower end) of measurements that may answer, the latest first."""
        return trust.conditions(connection, target_ids, protocol, runtime_version, limit)

    @_reading
    def known_measurements(
        self, connection: Connection, target_ids: Sequence[int], structure_hash: str
    ) -> list[KnownMeasurement]:
        """Measurements of a structure that may answer, the latest first."""
        return trust.known(connection, target_ids, structure_hash)

    @_writing
    def verify(self, connection: Connection, study_id: int, epoch: int, target: str) -> None:
        """A canary was good: so is what the study measured on the target since the last one."""
        leases.check(connection, study_id, epoch)
        trust.verify(connection, study_id, target)

    @_writing
    def quarantine(self, connection: Connection, study_id: int, epoch: int, target: str) -> Reopened:
        """A canary was bad: mark what the study measured on the target since the last good one, to be done again."""
        leases.check(connection, study_id, epoch)
        return trust.quarantine(connection, study_id, target)

    # -- artifacts

    @_reading
    def kept_artifacts(self, connection: Connection, name: str) -> list[KeptArtifact]:
        """Files of a study that were not deleted."""
        return history.kept_artifacts(connection, name)

    @_writing
    def mark_deleted(self, connection: Connection, artifact_id: int) -> None:
        """Note that retention removed a file."""
        connection.execute(update(ArtifactRow).where(ArtifactRow.id == artifact_id).values(deleted_at=Clock()))

    # -- what is added to finished candidates

    @_writing
    def add_profile(self, connection: Connection, study: str, number: int, profile: ProfileValue) -> None:
        """Remember where a candidate's time goes on a target."""
        outcomes.write_profile(connection, study, number, profile)

    @_writing
    def add_export(self, connection: Connection, study: str, number: int, export: ExportValue) -> None:
        """Remember that a candidate was exported, and its scores."""
        outcomes.write_export(connection, study, number, export)

    # -- targets

    @_writing
    def add_target(
        self, connection: Connection, name: str, description: Mapping[str, Any], references: Mapping[str, Any]
    ) -> None:
        """Remember a calibrated target; a second one of the name is ignored."""
        targets.add(connection, name, description, references)

    @_reading
    def targets(self, connection: Connection) -> list[TargetRow]:
        """Every target, by name."""
        return targets.rows(connection)

    @_writing
    def remove_target(self, connection: Connection, name: str) -> int:
        """Remove a target unless measurements are about it; how many are."""
        return targets.remove(connection, name)

    @_reading
    def target(self, connection: Connection, name: str) -> Target | None:
        """The target called ``name``, detached."""
        with Session(connection, expire_on_commit=False) as session:
            row = session.scalar(select(Target).where(Target.name == name))
            if row is not None:
                session.expunge(row)
            return row
