"""The tables, which are the only memory of a study; everything else can be rebuilt from them.

::

    database                       its identity
    targets
    studies ── suggestions ──┐
       └─── candidates ──────┴── architectures
               ├── metrics         one row per name and target
               ├── jobs            state, attempt
               ├── epochs          values by epoch
               ├── measurements    one blob of raw samples each
               ├── profiles        milliseconds per layer
               ├── artifacts       files, by URI and hash
               ├── final_trainings ── final_epochs
               └── exports         exported folders and their test scores
    studies ─┬─ imported_networks ── imported_measurements
             ├─ rechecks           the front in another environment
             └─ log                what the coordinator did and noticed
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from sqlalchemy import (
    JSON,
    BigInteger,
    DateTime,
    Dialect,
    ForeignKey,
    Index,
    LargeBinary,
    MetaData,
    String,
    Text,
    TypeDecorator,
    UniqueConstraint,
    false,
    text,
    true,
)
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, relationship


class Utc(TypeDecorator[datetime]):
    """A time in UTC that keeps its time zone on every database; SQLite itself stores none."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Convert to UTC; raise ValueError for a time without a time zone."""
        if value is not None and value.tzinfo is None:
            raise ValueError(f"a stored time needs a time zone: {value!r}")
        return value.astimezone(UTC) if value is not None else None

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Convert to UTC; a time without a time zone is in UTC already."""
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


class Base(DeclarativeBase):
    """Base of all tables; constraints have fixed names, so that migrations can refer to them on every database."""

    metadata = MetaData(
        naming_convention={
            "ix": "ix_%(table_name)s_%(column_0_N_name)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
            "fk": "fk_%(table_name)s_%(column_0_N_name)s_%(referred_table_name)s",
            "pk": "pk_%(table_name)s",
        }
    )
    type_annotation_map = {dict[str, Any]: JSON, list[Any]: JSON, datetime: Utc()}  # noqa: RUF012


def _study_key() -> Mapped[int]:
    """A key to a study, without an index: the unique constraint on (study, number) has one that serves it."""
    return mapped_column(ForeignKey("studies.id", ondelete="CASCADE"))


def _candidate_key(*, index: bool) -> Mapped[int]:
    """A key to a candidate; ``index`` is False if a unique constraint that starts with it has an index already."""
    return mapped_column(ForeignKey("candidates.id", ondelete="CASCADE"), index=index)


class DatabaseRow(Base):
    """The identity of this database, in one row; see ``trials.store.identity``."""

    __tablename__ = "database"
    id: Mapped[int] = mapped_column(primary_key=True)
    #: 32 random hexadecimal digits; part of the path of every file that studies of this database write.
    identity: Mapped[str] = mapped_column(String(32))
    #: Where the database was when its identity was last set or claimed.
    place: Mapped[str] = mapped_column(Text)
    #: See ``trials.store.identity.Identity.named_before``.
    named_before: Mapped[datetime | None]


class Target(Base):
    """A place where latency is measured: its description and the calibrated times of the reference models."""

    __tablename__ = "targets"
    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(String(200), unique=True)
    #: Runtime, threads, batch, core, processor, flags, versions.
    description: Mapped[dict[str, Any]]
    #: Reference model → milliseconds.
    references: Mapped[dict[str, Any]]
    created_at: Mapped[datetime]


class Study(Base):
    """One study: its resolved plan, its environment, and which coordinator runs it."""

    __tablename__ = "studies"
    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(String(200), unique=True)
    #: Name of the first study of the group; its replicates, baselines and companions have the same group.
    group: Mapped[str] = mapped_column(String(200), index=True)
    #: ``search``, ``baseline``, ``dense``, ``random_mask``, ``reference``: see ``trials.store.roles``.
    role: Mapped[str] = mapped_column(String(20))
    #: ``preparing``, ``running``, ``interrupted``, ``paused`` (by request), ``complete`` (budget spent), ``exhausted``
    #: (nothing new to suggest), ``stopped`` (by request). What is shown is
    #: ``trials.store.read.states.present_state``.
    state: Mapped[str] = mapped_column(String(20), index=True)
    plan: Mapped[dict[str, Any]]
    #: Metric → ``{"max": x}`` or ``{"min": x}``; relative limits are resolved to numbers.
    limits: Mapped[dict[str, Any]]
    #: Objective → direction, in the plan's order.
    objectives: Mapped[dict[str, Any]]
    #: Versions, processor, git revision, host.
    environment: Mapped[dict[str, Any]]
    seed: Mapped[int] = mapped_column(BigInteger)
    #: How policies make weights sparse, ``{"when", "dynamic", "structures"}``; empty if the policies that do so
    #: declare nothing, null if no policy does.
    regime: Mapped[dict[str, Any] | None]
    #: ``{"study", "candidates"}`` of a companion: the study that it belongs to, and for each of its own suggestions the
    #: number of that study's candidate; null for other studies.
    beside: Mapped[dict[str, Any] | None]
    #: Number of the candidate that is the original, the user's own unchanged network; null if there is none.
    original: Mapped[int | None]
    created_at: Mapped[datetime]
    finished_at: Mapped[datetime | None]
    #: Totals so far: ``wall_s``, ``train_s``, ``trained`` (trials); how often the strategy was asked and told, and for
    #: how long: ``asks``, ``ask_s``, ``tells``, ``tell_s``.
    totals: Mapped[dict[str, Any]]
    error: Mapped[str | None] = mapped_column(Text)
    #: What its coordinator is doing now, in words.
    phase: Mapped[str | None] = mapped_column(Text)
    #: Whether its preparation has ended; a study whose preparation was interrupted is prepared again when resumed.
    is_prepared: Mapped[bool] = mapped_column(default=True, server_default=true())
    #: Plan and limits before each extension, oldest first: ``{"until", "plan", "limits"}``.
    history: Mapped[list[Any] | None]
    #: Results of the earlier studies that it starts from, as ``trials.launch.warm_start`` copies them; null for none.
    earlier: Mapped[list[Any] | None] = mapped_column(deferred=True)
    #: Candidates that were enqueued by hand, in their order: ``{choice: answer}`` each; null where there are none.
    enqueued: Mapped[list[Any] | None]
    #: Remarks of people; null where there are none.
    note: Mapped[str | None] = mapped_column(Text)
    tags: Mapped[list[Any] | None]

    #: Zip archive of the Python files in the plan's folders of code, for clusters; null if it is not kept.
    code: Mapped[bytes | None] = mapped_column(LargeBinary, deferred=True)
    #: What it could use of the cluster it runs on, as ``trials.store.records.Demand``; null if it shares no cluster. It
    #: counts only while a coordinator runs the study.
    demand: Mapped[dict[str, Any] | None]
    #: What its coordinator was asked to do: ``pause`` or ``stop``; null if nothing.
    request: Mapped[str | None] = mapped_column(String(20))

    lease_owner: Mapped[str | None] = mapped_column(String(200))
    lease_since: Mapped[datetime | None]
    lease_expires_at: Mapped[datetime | None]
    #: Increases by 1 with every coordinator; a write under an earlier epoch is refused.
    lease_epoch: Mapped[int] = mapped_column(default=0)

    candidates: Mapped[list[Candidate]] = relationship(back_populates="study", passive_deletes=True)


class Architecture(Base):
    """A network and the answers that define it, shared by all studies."""

    __tablename__ = "architectures"
    id: Mapped[int] = mapped_column(primary_key=True)
    #: Hash of the network with its policies: ``nas.graph.identity.graph_identity``.
    identity: Mapped[str] = mapped_column(String(64), unique=True)
    space: Mapped[str] = mapped_column(String(200))
    #: As written by ``nas.space.Architecture.to_json``.
    definition: Mapped[dict[str, Any]]
    parameters: Mapped[int] = mapped_column(BigInteger)
    macs: Mapped[int] = mapped_column(BigInteger)
    #: One ``{"name", "op", "output_shape", "parameters", "macs", "bits"}`` for each layer.
    layers: Mapped[list[Any]]


#: One more than the largest revision of a candidate in the study of the candidate that is updated.
NEXT_REVISION = text(
    "(SELECT MAX(counted.revision) + 1 FROM candidates AS counted WHERE counted.study_id = candidates.study_id)"
)


class Candidate(Base):
    """One network in one study, which has no other candidate with the same network."""

    __tablename__ = "candidates"
    __table_args__ = (
        UniqueConstraint("study_id", "number"),
        UniqueConstraint("study_id", "architecture_id"),
        Index("ix_candidates_study_state", "study_id", "state"),
        Index("ix_candidates_study_revision", "study_id", "revision"),
    )
    id: Mapped[int] = mapped_column(primary_key=True)
    study_id: Mapped[int] = _study_key()
    architecture_id: Mapped[int] = mapped_column(ForeignKey("architectures.id"), index=True)
    #: Number of the trial, from 0 in the order of proposal.
    number: Mapped[int]
    #: ``queued``, ``running``, ``measured_only``, ``paused``, ``complete``, ``infeasible``, ``stopped``, ``failed``.
    state: Mapped[str] = mapped_column(String(20))
    #: Why it is infeasible, stopped or failed, in one line.
    reason: Mapped[str | None] = mapped_column(Text)
    traceback: Mapped[str | None] = mapped_column(Text)
    created_at: Mapped[datetime]
    finished_at: Mapped[datetime | None]
    #: Set to the next number of its study whenever the candidate or its metrics change. Who has read the study up to
    #: one revision reads the candidates with a higher one to be up to date.
    revision: Mapped[int] = mapped_column(default=0, server_default="0", onupdate=NEXT_REVISION)
    #: Remarks of people; null where there are none.
    note: Mapped[str | None] = mapped_column(Text)
    tags: Mapped[list[Any] | None]

    study: Mapped[Study] = relationship(back_populates="candidates")
    architecture: Mapped[Architecture] = relationship(lazy="joined")
    metrics: Mapped[list[Metric]] = relationship(passive_deletes=True, lazy="selectin", order_by="Metric.id")


class SuggestionRow(Base):
    """One suggestion of a strategy; several suggestions may lead to one candidate."""

    __tablename__ = "suggestions"
    __table_args__ = (UniqueConstraint("study_id", "number"),)
    id: Mapped[int] = mapped_column(primary_key=True)
    study_id: Mapped[int] = _study_key()
    candidate_id: Mapped[int] = _candidate_key(index=True)
    number: Mapped[int]
    duplicate: Mapped[bool]
    #: ``[[name, options, ordered, active, site], …]``.
    questions: Mapped[list[Any]]
    answers: Mapped[dict[str, Any]]
    sampler_state: Mapped[dict[str, Any]]
    #: Whether it is of a candidate that was enqueued by hand.
    enqueued: Mapped[bool] = mapped_column(default=False, server_default=false())


class Metric(Base):
    """One recorded number of a candidate, written ``name@target`` if it depends on a target."""

    __tablename__ = "metrics"
    __table_args__ = (
        UniqueConstraint("candidate_id", "name", "target"),
        Index("ix_metrics_name_value", "name", "value"),
    )
    id: Mapped[int] = mapped_column(primary_key=True)
    candidate_id: Mapped[int] = _candidate_key(index=False)
    name: Mapped[str] = mapped_column(String(100))
    #: Empty for a metric that depends on no target.
    target: Mapped[str] = mapped_column(String(200), default="")
    value: Mapped[float]
    #: Ends of the 95 % interval; null if none is known.
    low: Mapped[float | None]
    high: Mapped[float | None]


class JobRow(Base):
    """A job of a candidate: it may run several times, but only its current attempt can be committed, once."""

    __tablename__ = "jobs"
    __table_args__ = (UniqueConstraint("candidate_id", "kind", "target"), Index("ix_jobs_state", "state"))
    id: Mapped[int] = mapped_column(primary_key=True)
    candidate_id: Mapped[int] = _candidate_key(index=False)
    #: ``gate``, ``train``, ``measure``, ``twin``; ``rung-3`` … trains up to a number of epochs; ``remeasure-1``,
    #: ``retrain-1`` … of a complete candidate.
    kind: Mapped[str] = mapped_column(String(20))
    target: Mapped[str] = mapped_column(String(200), default="")
    #: ``queued``, ``running``, ``done``, ``failed``, or ``stale``: done, but to be repeated, because a canary was bad.
    state: Mapped[str] = mapped_column(String(20))
    attempt: Mapped[int] = mapped_column(default=0)
    started_at: Mapped[datetime | None]
    finished_at: Mapped[datetime | None]
    result: Mapped[dict[str, Any] | None]
    error: Mapped[str | None] = mapped_column(Text)


class EpochRow(Base):
    """The values of one epoch of a candidate's training."""

    __tablename__ = "epochs"
    __table_args__ = (UniqueConstraint("candidate_id", "epoch"),)
    id: Mapped[int] = mapped_column(primary_key=True)
    candidate_id: Mapped[int] = _candidate_key(index=False)
    epoch: Mapped[int]
    values: Mapped[dict[str, Any]]


class Measurement(Base):
    """One latency and the raw samples from which it can be computed again."""

    __tablename__ = "measurements"
    id: Mapped[int] = mapped_column(primary_key=True)
    candidate_id: Mapped[int] = _candidate_key(index=True)
    target_id: Mapped[int] = mapped_column(ForeignKey("targets.id"), index=True)
    #: ``gate``, ``final``, ``audit``, ``remeasure``, ``twin`` (of the dense twin, not of the candidate).
    purpose: Mapped[str] = mapped_column(String(20))
    latency_ms: Mapped[float]
    low_ms: Mapped[float]
    high_ms: Mapped[float]
    structure_hash: Mapped[str] = mapped_column(String(64), index=True)
    #: ``unverified`` until the next canary, which changes it to ``good`` or ``quarantined``.
    trust: Mapped[str] = mapped_column(String(20), default="unverified", server_default="unverified")
    #: The stored measurement that was reused; null if this one was measured.
    source_id: Mapped[int | None] = mapped_column(ForeignKey("measurements.id", ondelete="SET NULL"), index=True)
    #: Protocol, reference model, threads, batch, runtime version, processor flags, signs of disturbance, memory, …
    conditions: Mapped[dict[str, Any]]
    #: Compressed samples, read by ``nas.latency.protocol.samples.Samples.from_bytes``.
    samples: Mapped[bytes] = mapped_column(LargeBinary, deferred=True)
    created_at: Mapped[datetime]


class ArtifactRow(Base):
    """A file of a candidate."""

    __tablename__ = "artifacts"
    id: Mapped[int] = mapped_column(primary_key=True)
    candidate_id: Mapped[int] = _candidate_key(index=True)
    #: ``onnx``, ``weights``.
    kind: Mapped[str] = mapped_column(String(20))
    uri: Mapped[str] = mapped_column(Text)
    sha256: Mapped[str] = mapped_column(String(64))
    size_bytes: Mapped[int] = mapped_column(BigInteger)
    record: Mapped[dict[str, Any]]
    created_at: Mapped[datetime]
    #: When retention removed the file; its row is kept.
    deleted_at: Mapped[datetime | None]


class FinalTrainingRow(Base):
    """A final training of a candidate by one recipe; its scores are never those of the search."""

    __tablename__ = "final_trainings"
    __table_args__ = (UniqueConstraint("candidate_id", "key"),)
    id: Mapped[int] = mapped_column(primary_key=True)
    candidate_id: Mapped[int] = _candidate_key(index=False)
    #: Hash of the recipe.
    key: Mapped[str] = mapped_column(String(64))
    #: As written by ``trials.plans.final_training.FinalTraining.to_json``.
    recipe: Mapped[dict[str, Any]]
    #: ``running``, ``interrupted``, ``complete``, ``failed``.
    state: Mapped[str] = mapped_column(String(20))
    #: Number of the attempt that may write; earlier ones change nothing any more.
    attempt: Mapped[int]
    #: The process that runs it, ``host:pid:start``; null if none does.
    owner: Mapped[str | None] = mapped_column(String(200))
    environment: Mapped[dict[str, Any]]
    #: ``trials.jobs.messages.TrainResult`` with scores and files; null before the end.
    result: Mapped[dict[str, Any] | None]
    #: Why it failed or was interrupted.
    error: Mapped[str | None] = mapped_column(Text)
    traceback: Mapped[str | None] = mapped_column(Text)
    started_at: Mapped[datetime]
    finished_at: Mapped[datetime | None]


class FinalEpochRow(Base):
    """The values of one epoch of a final training."""

    __tablename__ = "final_epochs"
    __table_args__ = (UniqueConstraint("final_training_id", "epoch"),)
    id: Mapped[int] = mapped_column(primary_key=True)
    final_training_id: Mapped[int] = mapped_column(ForeignKey("final_trainings.id", ondelete="CASCADE"))
    epoch: Mapped[int]
    values: Mapped[dict[str, Any]]


class ExportRow(Base):
    """An export of a candidate with its scores; only exports are scored on the test split."""

    __tablename__ = "exports"
    id: Mapped[int] = mapped_column(primary_key=True)
    candidate_id: Mapped[int] = _candidate_key(index=True)
    folder: Mapped[str] = mapped_column(Text)
    #: Hash of the exported file.
    sha256: Mapped[str] = mapped_column(String(64))
    #: Split → metric → ``[value, low, high]``, with the ends of its 95 % interval.
    scores: Mapped[dict[str, Any]]
    created_at: Mapped[datetime]


class ProfileRow(Base):
    """Time of each layer of a candidate on a target; it includes the time that profiling itself takes."""

    __tablename__ = "profiles"
    id: Mapped[int] = mapped_column(primary_key=True)
    candidate_id: Mapped[int] = _candidate_key(index=True)
    target_id: Mapped[int] = mapped_column(ForeignKey("targets.id"), index=True)
    #: Mean wall time of the ``runs`` profiled runs.
    run_ms: Mapped[float]
    runs: Mapped[int]
    runtime_version: Mapped[str] = mapped_column(String(100))
    #: One ``{"name", "op", "layer", "time_ms"}`` for each executed node; ``layer`` is the path of a module or null.
    nodes: Mapped[list[Any]]
    created_at: Mapped[datetime]


class ImportedRow(Base):
    """A network of the user beside a study, to compare its front with; it is no candidate."""

    __tablename__ = "imported_networks"
    __table_args__ = (UniqueConstraint("study_id", "name"),)
    id: Mapped[int] = mapped_column(primary_key=True)
    study_id: Mapped[int] = _study_key()
    name: Mapped[str] = mapped_column(String(200))
    #: As written by ``trials.plans.imported.ImportSource.to_json``.
    source: Mapped[dict[str, Any]]
    #: The file that was measured.
    uri: Mapped[str] = mapped_column(Text)
    sha256: Mapped[str] = mapped_column(String(64))
    size_bytes: Mapped[int] = mapped_column(BigInteger)
    #: One ``[name, target, value, low, high]`` for each metric; see ``Metric``.
    metrics: Mapped[list[Any]]
    #: Metric → ``[value, low, high]`` on the test split; empty without scores.
    test_scores: Mapped[dict[str, Any]]
    #: What was left out, and why.
    notes: Mapped[list[Any]]
    environment: Mapped[dict[str, Any]]
    created_at: Mapped[datetime]


class ImportedMeasurement(Base):
    """The latency of an imported network on a target; its columns are those of ``Measurement``."""

    __tablename__ = "imported_measurements"
    __table_args__ = (UniqueConstraint("imported_id", "target_id"),)
    id: Mapped[int] = mapped_column(primary_key=True)
    imported_id: Mapped[int] = mapped_column(ForeignKey("imported_networks.id", ondelete="CASCADE"))
    target_id: Mapped[int] = mapped_column(ForeignKey("targets.id"), index=True)
    latency_ms: Mapped[float]
    low_ms: Mapped[float]
    high_ms: Mapped[float]
    conditions: Mapped[dict[str, Any]]
    samples: Mapped[bytes] = mapped_column(LargeBinary, deferred=True)
    created_at: Mapped[datetime]


class RecheckRow(Base):
    """The front of a study, measured in another environment."""

    __tablename__ = "rechecks"
    id: Mapped[int] = mapped_column(primary_key=True)
    study_id: Mapped[int] = mapped_column(ForeignKey("studies.id", ondelete="CASCADE"), index=True)
    #: As written by ``trials.analysis.rechecks.Recheck.to_json``.
    result: Mapped[dict[str, Any]]
    created_at: Mapped[datetime]


class LogRow(Base):
    """One line of the log of a study: what its coordinator did and noticed."""

    __tablename__ = "log"
    __table_args__ = (Index("ix_log_study", "study_id", "id"),)
    id: Mapped[int] = mapped_column(primary_key=True)
    study_id: Mapped[int] = _study_key()
    #: The candidate that it is about; null if it is about none.
    candidate_id: Mapped[int | None] = mapped_column(ForeignKey("candidates.id", ondelete="CASCADE"), index=True)
    created_at: Mapped[datetime]
    #: ``info``, ``warning`` or ``error``.
    level: Mapped[str] = mapped_column(String(10))
    text: Mapped[str] = mapped_column(Text)
