"""Plain values that are written to the tables and read from them."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from nas.errors import JobError
from nas.strategies import Suggestion

Step = tuple[str, str]
#: States of a study that has nothing left to do, and of a study that has ended.
SPENT = ("complete", "exhausted")
ENDED = (*SPENT, "stopped")


@dataclass(frozen=True, slots=True)
class MetricValue:
    """One recorded number; ``target`` is empty if it depends on none; ``low`` and ``high`` end the 95 % interval.

    Raises:
        JobError: the value is not finite, or a bound is not a number.
    """

    name: str
    target: str
    value: float
    low: float | None = None
    high: float | None = None

    def __post_init__(self) -> None:
        bounds = [bound for bound in (self.low, self.high) if bound is not None]
        if not math.isfinite(self.value) or any(map(math.isnan, bounds)):
            shown = f"{self.name}@{self.target}" if self.target else self.name
            raise JobError(f"{shown} is {self.value} ({self.low} to {self.high}); metrics have to be finite")


@dataclass(frozen=True)
class MeasurementValue:
    """One latency with its raw samples."""

    target: str
    purpose: str
    latency_ms: float
    low_ms: float
    high_ms: float
    structure_hash: str
    conditions: Mapping[str, Any]
    samples: bytes
    #: Id of the stored measurement that was reused; None if this one was measured.
    source_id: int | None = None
    #: ``unverified``, ``good``, ``quarantined``: see ``trials.store.models.Measurement``.
    trust: str = "unverified"


@dataclass(frozen=True)
class Remark:
    """What people wrote about a study or a candidate."""

    note: str = ""
    tags: tuple[str, ...] = ()


@dataclass(frozen=True)
class ArtifactValue:
    """One stored file."""

    kind: str
    uri: str
    sha256: str
    size_bytes: int
    record: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class ExportValue:
    """An exported candidate."""

    folder: str
    sha256: str
    #: Split → metric → ``[value, low, high]``.
    scores: Mapping[str, Mapping[str, Sequence[float]]]


@dataclass(frozen=True)
class ImportedValue:
    """A network of the user that was measured beside a study."""

    name: str
    #: As written by ``trials.plans.imported.ImportSource.to_json``.
    source: Mapping[str, Any]
    file: ArtifactValue
    metrics: Sequence[MetricValue]
    #: Metric → ``(value, low, high)`` on the test split.
    test_scores: Mapping[str, Sequence[float | None]]
    notes: Sequence[str]
    measurements: Sequence[MeasurementValue]
    environment: Mapping[str, Any]


@dataclass(frozen=True)
class ProfileValue:
    """Time of each layer of a candidate on a target."""

    target: str
    run_ms: float
    runs: int
    runtime_version: str
    #: One ``{"name", "op", "layer", "time_ms"}`` for each node.
    nodes: Sequence[Mapping[str, Any]]


@dataclass(frozen=True)
class ArchitectureValue:
    """A network and the answers that define it."""

    identity: str
    space: str
    definition: Mapping[str, Any]
    parameters: int
    macs: int
    layers: Sequence[Mapping[str, Any]]


@dataclass(frozen=True)
class JobResult:
    """All changes by one finished job, which are written in one transaction."""

    result: Mapping[str, Any]
    metrics: Sequence[MetricValue] = ()
    measurements: Sequence[MeasurementValue] = ()
    artifacts: Sequence[ArtifactValue] = ()
    #: The candidate's final state; None if it has further jobs.
    candidate_state: str | None = None
    reason: str | None = None
    next_jobs: Sequence[Step] = ()


@dataclass(frozen=True)
class Lease:
    """The right of one coordinator to write to a study, until another coordinator has a lease with a later epoch."""

    study_id: int
    epoch: int


@dataclass(frozen=True)
class Demand:
    """What a study could use of a cluster."""

    #: Distinguishes the cluster from all others.
    cluster: str
    #: Weight of the study beside others.
    priority: float
    #: Largest number of its training workers.
    trainings: int
    #: Resources of each training worker, by Ray's names: ``CPU``, ``GPU``, ``memory``.
    each: Mapping[str, float]
    #: Resources of each measuring worker.
    measuring: Sequence[Mapping[str, float]] = ()


@dataclass(frozen=True)
class AddedJob:
    """A job that was added, and the number of its last attempt; 0 if it never started."""

    job_id: int
    attempt: int


@dataclass(frozen=True)
class Proposed:
    """A new candidate and its first job."""

    candidate_id: int
    number: int
    job_id: int


@dataclass(frozen=True)
class Duplicate:
    """A suggestion whose network is already a candidate of the study."""

    candidate_id: int


@dataclass(frozen=True)
class OpenJob:
    """A queued job with the state and results of its candidate."""

    job_id: int
    #: Number of its last attempt; 0 if it never started.
    attempt: int
    kind: str
    target: str
    candidate_id: int
    number: int
    state: str
    identity: str
    architecture: Mapping[str, Any]
    #: Results of the candidate's finished jobs.
    results: dict[Step, Mapping[str, Any]]
    metrics: dict[tuple[str, str], MetricValue]


@dataclass(frozen=True)
class Earlier:
    """Raw samples of an earlier measurement, to be pooled with a new one."""

    samples: bytes
    reference_ms: float


@dataclass(frozen=True)
class KnownMeasurement:
    """A measurement that may be reused for another file of the same structure."""

    id: int
    source_id: int | None
    latency_ms: float
    low_ms: float
    high_ms: float
    conditions: Mapping[str, Any]
    samples: bytes


@dataclass(frozen=True)
class Reopened:
    """The measurements and jobs that a bad canary made invalid."""

    #: How many measurements were quarantined.
    num_marked: int
    #: (candidate, step) whose results are no longer valid.
    steps: set[tuple[int, Step]]
    #: The jobs that were queued again.
    queued: list[OpenJob]


@dataclass(frozen=True, slots=True)
class StoredSuggestion:
    """A suggestion and the state and metrics of its candidate."""

    suggestion: Suggestion
    duplicate: bool
    #: Number of its candidate.
    candidate: int
    state: str
    metrics: Mapping[tuple[str, str], MetricValue]
    #: Whether its candidate was given to a training, whatever came of it.
    trained: bool = False
    #: Identity of its network.
    identity: str = ""


@dataclass(frozen=True)
class KeptArtifact:
    """A stored file that retention has not removed."""

    artifact_id: int
    candidate_number: int
    kind: str
    uri: str
    sha256: str
    size_bytes: int


@dataclass(frozen=True)
class TargetRow:
    """A stored target, and how many measurements were made on it."""

    name: str
    #: ``nas.latency.targets.Target`` as JSON.
    description: Mapping[str, Any]
    created_at: datetime
    measurements: int
