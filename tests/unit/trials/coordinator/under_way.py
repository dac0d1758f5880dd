"""A running study whose workers keep their jobs, so that the coordinator's parts can be tested one by one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from itertools import count
from typing import Any

from sqlalchemy import select

from nas.latency.protocol.canary import Health
from nas.latency.protocol.measure import PROTOCOL_VERSION
from nas.strategies import Suggestion
from trials.coordinator.context import CoordinatorContext
from trials.coordinator.dispatch import Dispatcher
from trials.executors import Event, Executor, Job, Pool
from trials.store.models import Base
from trials.store.read.history import open_jobs
from trials.store.records import ArchitectureValue, MeasurementValue, OpenJob, Proposed
from trials.store.store import Store
from trials.store.write.proposals import propose

#: The health of a target that performs as calibrated.
GOOD = Health("r5", 0.0, 0.0, (), {"runtime_version": "1"})
#: A measurement that may be reused for other candidates.
CONDITIONS = {
    "protocol": PROTOCOL_VERSION,
    "runtime_version": "1",
    "disturbed": False,
    "half_width": 0.01,
    "effort": {"precision": 0.02, "budget_s": 6.0},
    "peak_memory_bytes": None,
    "reference_ms": 1.0,
    "rejected": False,
}


class Held(Executor):
    """An executor that keeps the jobs it is given; each pool has one slot."""

    def __init__(self, pools: Sequence[Pool] = (), *, code: Sequence[str] = (), address: str | None = None) -> None:
        self.jobs: dict[str, Job] = {}

    def free(self, pool: str) -> int:
        return int(all(job.pool != pool for job in self.jobs.values()))

    def submit(self, job: Job) -> None:
        self.jobs[job.key] = job

    def poll(self, timeout_s: float) -> list[Event]:
        return []

    def cancel(self, key: str) -> None:
        self.jobs.pop(key, None)

    def close(self) -> None:
        self.jobs.clear()


@dataclass
class UnderWay:
    """The parts of a coordinator, with short methods to bring its study into a state."""

    context: CoordinatorContext
    executor: Held
    jobs: Dispatcher
    _numbers: Any = field(default_factory=count)

    @property
    def store(self) -> Store:
        return self.context.store.store

    def propose(self, identity: str, first: tuple[str, str] = ("gate", "local")) -> OpenJob:
        """Store a candidate and queue its first job."""
        suggestion = Suggestion(next(self._numbers), (), {})
        architecture = ArchitectureValue(identity, "plain_convnet", {"choices": {}}, 1, 1, [])
        proposed = self.store.write(propose, self.context.assignment.lease, suggestion, architecture, first)
        assert isinstance(proposed, Proposed)
        self.context.progress.proposed(proposed.number, suggestion, identity)
        opened = self.store.read(open_jobs, self.context.assignment.lease.study_id)
        job = next(job for job in opened if job.job_id == proposed.job_id)
        self.jobs.restore(job)
        return job

    def find_good(self, target: str = "local") -> None:
        """Run a canary that finds the target good."""
        self.context.canaries.started(target)
        assert self.context.canaries.finished(target, GOOD)

    def dispatch(self) -> list[Any]:
        """Hand out jobs; returns the results of jobs that needed no worker."""
        return list(self.jobs.dispatch())

    def rows(self, model: type[Base]) -> list[Any]:
        """Rows of a table, oldest first."""
        table = model.__table__
        return self.store.read(lambda connection: list(connection.execute(select(table).order_by(table.c.id))))


def measured(structure_hash: str, samples: bytes = b"", purpose: str = "gate", **conditions: Any) -> MeasurementValue:
    """A measurement of 2 ms on ``local``."""
    value = MeasurementValue("local", purpose, 2.0, 1.9, 2.1, structure_hash, CONDITIONS, samples)
    return replace(value, conditions=CONDITIONS | conditions)
