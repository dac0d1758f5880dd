"""The context that the parts of a coordinator share."""

from __future__ import annotations

from dataclasses import dataclass

from trials.coordinator.assignment import Assignment
from trials.coordinator.faults import Faults
from trials.coordinator.journal import Journal
from trials.coordinator.progress import Progress
from trials.coordinator.targets.canaries import Canaries
from trials.coordinator.targets.latency_cache import LatencyCache
from trials.executors import Executor
from trials.store.store import Store


@dataclass(frozen=True)
class CoordinatorContext:
    """The store, assignment and executor of a running study, and its state so far."""

    store: Journal
    assignment: Assignment
    executor: Executor
    progress: Progress
    canaries: Canaries
    latencies: LatencyCache
    faults: Faults

    @classmethod
    def of(cls, store: Store, assignment: Assignment, executor: Executor) -> CoordinatorContext:
        """Create the context of a study before anything was read from the store."""
        problem, journal = assignment.problem, Journal(store, assignment.lease)
        return cls(
            journal,
            assignment,
            executor,
            Progress(problem, assignment.limits),
            Canaries(problem.plan.measure, assignment.targets),
            LatencyCache(journal, assignment),
            Faults(problem.plan.faults, assignment.name),
        )
