"""The payloads and results of jobs, and the functions that run them.

Payloads and results are sent as JSON, and the database stores results as JSON. Each is a typed dictionary that is
declared only here. A key of a result is ``NotRequired`` if databases of earlier versions lack it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Generic, NotRequired, TypedDict, TypeVar, cast

from trials.executors import Job

#: Length of the prefixes of structure hashes that tell a job which structures have a stored latency.
PREFIX = 16
#: Value, lower and upper end of its 95 % interval, a list in JSON; an unknown end is None.
ValueAndInterval = tuple[float, float | None, float | None]


# -- given


class NetworkPayload(TypedDict):
    """A network to build."""

    #: The resolved plan, a JSON text.
    plan: str
    #: ``nas.space.Architecture`` as JSON.
    architecture: Mapping[str, Any]
    seed: int


class CandidatePayload(NetworkPayload):
    """A network that is a candidate of a study, or a probe."""

    #: Number of the candidate in the study, or of the probe.
    candidate: int
    identity: str


class MeasuringPayload(TypedDict):
    """The target and the effort of a measurement."""

    #: ``nas.latency.targets.Target`` as JSON.
    target: Mapping[str, Any]
    precision: float
    budget_s: float
    #: Metrics that the target must report.
    needed: list[str]


class GatePayload(CandidatePayload, MeasuringPayload):
    """An untrained network to measure."""

    #: Prefixes of the hashes of structures that have a stored latency and need not be measured.
    known: list[str]
    #: Milliseconds; the measurement stops once the network is certainly slower.
    reject_above_ms: float | None
    #: Whether to measure with the effort of screening.
    screen: bool
    #: Zero-cost proxies that score the network.
    proxies: list[str]


class TwinPayload(GatePayload):
    """A candidate whose dense twin is measured."""

    #: Identity of the dense twin.
    twin: str


class TrainPayload(CandidatePayload):
    """A network to train."""

    #: Whether the candidate is the original, whose weights may be complete.
    original: bool
    #: Folder or URI of the study's artifacts.
    artifacts: str
    #: Fingerprint of the data that the study started with; None if unknown.
    data: str | None
    #: Folder where the training keeps its state.
    checkpoint: str


class RungPayload(TrainPayload):
    """A network to train up to a rung."""

    #: Number of epochs, from the beginning of the training, after which it waits.
    epochs: int


class TeacherPayload(TypedDict):
    """The teacher of a final training."""

    #: As in ``final_training.teacher``; see ``trials.plans.teachers.TeacherSpec``.
    teacher: str
    #: ``nas.space.Architecture`` as JSON, and the URI of the weights, of a teacher that is a trial.
    architecture: Mapping[str, Any] | None
    uri: str | None
    #: Hash of the file with the weights; None for the dense twin, which is trained first.
    sha256: str | None


class FinalTrainingPayload(TrainPayload):
    """A network to train in the end."""

    #: ``trials.plans.final_training.FinalTraining`` as JSON.
    recipe: Mapping[str, Any]
    teacher: TeacherPayload | None


class MeasureFilePayload(MeasuringPayload):
    """A stored file to measure."""

    artifacts: str
    uri: str
    sha256: str


class MeasurePayload(CandidatePayload, MeasureFilePayload):
    """A trained file to measure."""

    structure_hash: str


class EarlierSamples(TypedDict):
    """Samples of an earlier measurement."""

    #: ``nas.latency.protocol.samples.Samples`` in base64.
    samples: str
    reference_ms: float


class RemeasurePayload(MeasurePayload):
    """A trained file to measure again."""

    earlier: list[EarlierSamples]


class ImportPayload(TypedDict):
    """A network of the user to score and to store."""

    #: The resolved plan of the study, a JSON text.
    plan: str
    #: ``trials.plans.imported.ImportSource`` as JSON.
    source: Mapping[str, Any]
    name: str
    artifacts: str
    data: str | None


class CalibratePayload(TypedDict):
    """A target to calibrate."""

    #: ``nas.latency.targets.TargetSpec`` as JSON.
    spec: Mapping[str, Any]


class CanaryPayload(TypedDict):
    """A calibrated target to check."""

    target: Mapping[str, Any]
    #: Largest drift at which a target counts as good.
    limit: float


# -- yielded on the way


class StageReached(TypedDict):
    """A job has reached a stage."""

    stage: str


class EpochEnd(TypedDict):
    """A training has ended an epoch."""

    epoch: int
    values: Mapping[str, float]


# -- returned


class LatencyInterval(TypedDict):
    """A latency with its 95 % interval, in milliseconds."""

    latency_ms: float
    low_ms: float
    high_ms: float


class LatencyResult(LatencyInterval):
    """A measured latency: ``nas.latency.protocol.measure.Latency`` as JSON."""

    peak_memory_bytes: int | None
    rejected: bool
    conditions: Mapping[str, Any]
    #: ``nas.latency.protocol.samples.Samples`` in base64.
    samples: str
    #: Metric → percentile of the latency.
    percentiles: Mapping[str, ValueAndInterval]
    #: Id of the stored measurement that these samples come from; missing if the latency was measured now.
    answered_from: NotRequired[int]


class PooledLatency(LatencyInterval):
    """The latency that several measurements give together."""

    percentiles: Mapping[str, ValueAndInterval]


class GateResult(TypedDict):
    """Size and latency of an untrained network: a candidate, a probe or a dense twin."""

    #: Counted metrics, and the scores of proxies.
    metrics: dict[str, float]
    #: Zero-cost proxy → why it could not score the network.
    unscored: NotRequired[Mapping[str, str]]
    structure_hash: str
    #: None if the structure is one of the ``known``.
    latency: LatencyResult | None


class TwinRecord(TypedDict, total=False):
    """The stored result of a job that measures a dense twin: its latency, or why it could not be measured."""

    #: Identity of the dense twin.
    twin: str
    latency: LatencyInterval
    error: str


class FileResult(TypedDict):
    """A stored file."""

    #: The exporter's format, or ``weights``.
    kind: str
    uri: str
    sha256: str
    size_bytes: int
    record: Mapping[str, Any]


class TrainResult(TypedDict):
    """A trained network: its scores and its files."""

    metrics: dict[str, float]
    #: Metric → both ends of its 95 % interval.
    intervals: NotRequired[Mapping[str, Sequence[float]]]
    #: ``classes`` and their ``matrix``; None if the task has no classes.
    confusion: NotRequired[Mapping[str, Any] | None]
    #: Warnings about unreliable scores, from ``trials.jobs.doubts``.
    doubts: NotRequired[list[str]]
    structure_hash: str
    artifacts: list[FileResult]
    #: Identity of the dense twin; it equals the network's own identity if no policy changed the network.
    twin: str


class RungResult(TypedDict):
    """Scores of a network whose training waits at a rung."""

    #: Number of epochs of the rung.
    epochs: int
    scores: dict[str, float]


class RetrainResult(TypedDict):
    """Scores of a network trained with another seed."""

    seed: int
    scores: dict[str, float]


class ScoreResult(TypedDict):
    """Scores of a network with its initial weights."""

    metrics: dict[str, float]


class MeasureResult(TypedDict):
    """Latency of a trained file."""

    structure_hash: str
    latency: LatencyResult


class RemeasureResult(MeasureResult):
    """Latency of a trained file, from this measurement alone and pooled with earlier ones."""

    pooled: PooledLatency


class ImportResult(TypedDict):
    """An imported network: its file, what was counted in it, and its scores."""

    #: Metric → value and interval: counted ones, and scores on the validation split.
    metrics: dict[str, ValueAndInterval]
    #: Scores on the test split.
    test_scores: dict[str, ValueAndInterval]
    #: What was left out, and why.
    notes: list[str]
    file: FileResult


class CalibrateResult(TypedDict):
    """A calibrated target."""

    #: ``nas.latency.targets.Target`` as JSON.
    target: dict[str, Any]


class CanaryResult(TypedDict):
    """The health of a target."""

    #: ``nas.latency.protocol.canary.Health`` as JSON.
    health: Mapping[str, Any]


# -- functions

P = TypeVar("P")
R = TypeVar("R")


@dataclass(frozen=True)
class Function(Generic[P, R]):
    """A function that workers run: it takes a payload ``P``, and its last yielded value is a result ``R``."""

    name: str

    def job(self, key: str, payload: P, pool: str) -> Job:
        """Return a job without limits for an executor; see ``trials.executors.Job``."""
        return Job(key, self.name, cast(Mapping[str, Any], payload), pool)

    def result(self, value: Mapping[str, Any]) -> R:
        """Return the value of this job's ``done`` event with its type."""
        return cast(R, value)


GATE = Function[GatePayload, GateResult]("trials.jobs.candidate:gate")
TWIN = Function[TwinPayload, GateResult]("trials.jobs.candidate:twin")
RUNG = Function[RungPayload, RungResult]("trials.jobs.candidate:rung")
TRAIN = Function[TrainPayload, TrainResult]("trials.jobs.candidate:train")
RETRAIN = Function[TrainPayload, RetrainResult]("trials.jobs.candidate:retrain")
FINAL_TRAINING = Function[FinalTrainingPayload, TrainResult]("trials.jobs.final_training:final_training")
SCORE = Function[NetworkPayload, ScoreResult]("trials.jobs.candidate:score")
MEASURE = Function[MeasurePayload, MeasureResult]("trials.jobs.candidate:measure")
REMEASURE = Function[RemeasurePayload, RemeasureResult]("trials.jobs.candidate:remeasure")
IMPORTED = Function[ImportPayload, ImportResult]("trials.jobs.imported:imported")
MEASURE_FILE = Function[MeasureFilePayload, LatencyResult]("trials.jobs.imported:measure_file")
CALIBRATE = Function[CalibratePayload, CalibrateResult]("trials.jobs.target:calibrate")
CANARY = Function[CanaryPayload, CanaryResult]("trials.jobs.target:canary")

#: Kind of a candidate's job → its function.
OF_KIND: Mapping[str, Function[Any, Any]] = {
    "gate": GATE,
    "rung": RUNG,
    "train": TRAIN,
    "measure": MEASURE,
    "twin": TWIN,
    "remeasure": REMEASURE,
    "retrain": RETRAIN,
}
