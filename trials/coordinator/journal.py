"""The journal: what the coordinator decides in one round is written in one transaction.

Memory is ahead of the tables by one round at most. Workers get their jobs, and files are removed, only after the round
was written. If it can't be written, the coordinator ends, and the next one rebuilds its memory from the tables.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Concatenate, ParamSpec, TypeVar

from nas.errors import StudyError
from nas.strategies import Suggestion
from trials.coordinator.pipeline import Step, TrialJob
from trials.store.database.transactions import Transactions
from trials.store.records import ArchitectureValue, Duplicate, JobResult, Lease, Proposed
from trials.store.store import Store
from trials.store.write.jobs import add_epochs, commit_job, start_job
from trials.store.write.proposals import propose
from trials.store.write.rounds import Change, Transaction, write_round

P = ParamSpec("P")
T = TypeVar("T")
_CHANGED = "is stored already: another process has changed the study; nothing is written. Continue with `nas resume`"


@dataclass
class _Round:
    """What was decided since the last round was written."""

    changes: list[Change] = field(default_factory=list)
    #: New jobs that start as they are added.
    starting: set[TrialJob | None] = field(default_factory=set)
    totals: Mapping[str, float] | None = None
    #: Called once the round is written.
    after: list[Callable[[], None]] = field(default_factory=list)


class Journal:
    """The store of a running study, under the lease of its coordinator.

    ``propose``, ``start``, ``commit`` and ``end_epoch`` add a change to the present round, and ``flush`` writes the
    round. ``read`` and ``write`` write it first, so that they find everything that was decided before them.
    """

    def __init__(self, store: Store, lease: Lease) -> None:
        self.store = store
        self._lease = lease
        self._round = _Round()

    @property
    def transactions(self) -> Transactions:
        """The transactions of the store."""
        return self.store.transactions

    def read(self, work: Callable[Concatenate[Transaction, P], T], /, *arguments: P.args, **options: P.kwargs) -> T:
        """See ``Store.read``."""
        self.flush()
        return self.store.read(work, *arguments, **options)

    def write(self, work: Callable[Concatenate[Transaction, P], T], /, *arguments: P.args, **options: P.kwargs) -> T:
        """See ``Store.write``."""
        self.flush()
        return self.store.write(work, *arguments, **options)

    def flush(self) -> None:
        """Write the round.

        Raises:
            StudyError: another coordinator has taken the lease; nothing is written.
            StoreError: see ``Store.write``; nothing is written.
        """
        present, self._round = self._round, _Round()
        if present.changes:
            self.store.write(write_round, self._lease, present.changes, present.totals)
        for call in present.after:
            call()

    def propose(
        self, suggestion: Suggestion, architecture: ArchitectureValue, first: Step, job: TrialJob | None
    ) -> None:
        """Add a suggestion; ``job`` is the first job of its candidate, or None for a network that is a candidate."""
        present = self._round

        def change(transaction: Transaction, lease: Lease) -> None:
            start = job in present.starting
            proposed = propose(transaction, lease, suggestion, architecture, first, start=start)
            if isinstance(proposed, Duplicate) != (job is None):
                raise StudyError(f"suggestion {suggestion.number} {_CHANGED}")
            if job is not None and isinstance(proposed, Proposed):
                job.job_id, job.attempt, job.trial.candidate_id = proposed.job_id, int(start), proposed.candidate_id

        present.changes.append(change)

    def start(self, job: TrialJob) -> None:
        """Start a queued job, which counts an attempt."""

        def change(transaction: Transaction, lease: Lease) -> None:
            job.attempt = start_job(transaction, lease, job.job_id)

        if job.job_id:
            self._round.changes.append(change)
        else:
            self._round.starting.add(job)

    def commit(
        self, job: TrialJob, outcome: JobResult, following: Sequence[TrialJob], totals: Mapping[str, float]
    ) -> None:
        """Commit the outcome of a running job, and queue the jobs that follow it."""
        present = self._round

        def change(transaction: Transaction, lease: Lease) -> None:
            start = [item.step for item in following if item in present.starting]
            added = commit_job(transaction, job.job_id, job.attempt, outcome, start)
            if added is None:
                raise StudyError(f"attempt {job.attempt} of job {job.job_id} {_CHANGED}")
            for row, next_job in zip(added, following, strict=True):
                next_job.job_id, next_job.attempt = row.job_id, row.attempt

        present.changes.append(change)
        present.totals = totals

    def end_epoch(self, job: TrialJob, epoch: int, values: Mapping[str, Any]) -> None:
        """Add the values of an epoch of a running training."""

        def change(transaction: Transaction, lease: Lease) -> None:
            add_epochs(transaction, job.trial.candidate_id, job.job_id, job.attempt, [(epoch, values)])

        self._round.changes.append(change)

    def afterwards(self, call: Callable[[], None]) -> None:
        """Call something once the round is written."""
        self._round.after.append(call)
