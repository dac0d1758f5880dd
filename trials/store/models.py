"""The tables. They are the only memory of a study; everything else can be rebuilt from them.

::

    database                       its identity
    targets
    studies ── suggestions ──┐
       └─── candidates ──────┴── architectures
               ├── metrics         one row per (name, target)
               ├── jobs            state, attempt
               ├── epochs          the curve
               ├── measurements    one blob of raw samples each
               ├── profiles        milliseconds by layer
               ├── artifacts       files, by URI and hash
               └── exports         what was taken away, and its test scores
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
    true,
)
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, relationship


class Utc(TypeDecorator[datetime]):
    """A time in UTC, with its zone on every database (SQLite forgets it)."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Refuse times without a zone."""
        if value is not None and value.tzinfo is None:
            raise ValueError(f"a time needs its zone: {value!r}")
        return value.astimezone(UTC) if value is not None else None

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Give the zone back, or turn the server's into UTC."""
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


class Base(DeclarativeBase):
    """Constraint names are fixed, so that migrations can name them on every database."""

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
    """Tables with this key are unique by (study, number): that index serves the key too."""
    return mapped_column(ForeignKey("studies.id", ondelete="CASCADE"))


def _candidate_key(*, index: bool) -> Mapped[int]:
    """``index``: False where a unique constraint starts with the candidate and serves the key too."""
    return mapped_column(ForeignKey("candidates.id", ondelete="CASCADE"), index=index)


class DatabaseRow(Base):
    """This database itself; one row. See ``trials.store.identity``."""

    __tablename__ = "database"
    id: Mapped[int] = mapped_column(primary_key=True)
    #: Random; part of the path of every file that studies of this database write.
    identity: Mapped[str] = mapped_column(String(32))
    #: Where the database was when it got its identity, or was opened last.
    place: Mapped[str] = mapped_column(Text)
    #: Studies created before have folders by name; null where none of them are its own (see ``Identity``).
    named_before: Mapped[datetime | None]


class Target(Base):
    """A place latencies are about: description, and its reference models' calibrated times."""

    __tablename__ = "targets"
    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(String(200), unique=True)
    #: runtime, threads, batch, core, processor, flags, versions.
    description: Mapped[dict[str, Any]]
    #: Rung of the ladder → milliseconds.
    references: Mapped[dict[str, Any]]
    created_at: Mapped[datetime]


class Study(Base):
    """One search: its resolved plan, its environment, and who coordinates it."""

    __tablename__ = "studies"
    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(String(200), unique=True)
    #: Studies that belong together: replicates, their random twins and companions share the name of the first.
    group: Mapped[str] = mapped_column(String(200), index=True)
    #: ``search``, ``baseline``, ``dense``, ``random_mask``, ``reference``: see ``trials.store.roles``.
    role: Mapped[str] = mapped_column(String(20))
    #: ``preparing``, ``running``, ``interrupted``, ``complete`` (budget spent), ``exhausted`` (nothing new to suggest),
    #: ``failed``.
    state: Mapped[str] = mapped_column(String(20), index=True)
    plan: Mapped[dict[str, Any]]
    #: Metric → ``{"max": x}`` or ``{"min": x}``, relative limits resolved.
    limits: Mapped[dict[str, Any]]
    #: Objective → direction, in the plan's order.
    objectives: Mapped[dict[str, Any]]
    #: Versions, processor, git revision, host.
    environment: Mapped[dict[str, Any]]
    seed: Mapped[int] = mapped_column(BigInteger)
    #: How a policy makes weights sparse, ``{"when", "dynamic", "structures"}``; empty where none of the policies that
    #: do says how, null where none does.
    regime: Mapped[dict[str, Any] | None]
    #: Of a companion: ``{"study", "candidates"}``, the study it stands beside, and which candidate of that study each
    #: of its suggestions belongs to.
    beside: Mapped[dict[str, Any] | None]
    #: Number of the candidate that is the user's own network as it is; null where there is none.
    original: Mapped[int | None]
    created_at: Mapped[datetime]
    finished_at: Mapped[datetime | None]
    #: Processor-independent account: seconds of training saved by the gate, wall seconds spent.
    totals: Mapped[dict[str, Any]]
    error: Mapped[str | None] = mapped_column(Text)
    #: What its coordinator does at the moment, in words.
    phase: Mapped[str | None] = mapped_column(Text)
    #: Whether its limits are numbers; a study whose preparation was cut short is prepared again when it is resumed.
    is_prepared: Mapped[bool] = mapped_column(default=True, server_default=true())
    #: What its plan and limits were before each extension, oldest first: ``{"until", "plan", "limits"}``.
    history: Mapped[list[Any] | None]

    lease_owner: Mapped[str | None] = mapped_column(String(200))
    lease_since: Mapped[datetime | None]
    lease_expires_at: Mapped[datetime | None]
    #: Grows with every coordinator; a write with an old one is refused.
    lease_epoch: Mapped[int] = mapped_column(default=0)

    candidates: Mapped[list[Candidate]] = relationship(back_populates="study", passive_deletes=True)


class Architecture(Base):
    """A network as chosen, shared by all studies."""

    __tablename__ = "architectures"
    id: Mapped[int] = mapped_column(primary_key=True)
    #: Hash of the built graph with its policies.
    identity: Mapped[str] = mapped_column(String(64), unique=True)
    space: Mapped[str] = mapped_column(String(200))
    #: What ``nas.space.Architecture.to_json`` writes.
    definition: Mapped[dict[str, Any]]
    parameters: Mapped[int] = mapped_column(BigInteger)
    macs: Mapped[int] = mapped_column(BigInteger)
    #: One ``{"name", "op", "output_shape", "parameters", "macs", "bits"}`` a layer.
    layers: Mapped[list[Any]]


class Candidate(Base):
    """One network in one study, unique there."""

    __tablename__ = "candidates"
    __table_args__ = (
        UniqueConstraint("study_id", "number"),
        UniqueConstraint("study_id", "architecture_id"),
        Index("ix_candidates_study_state", "study_id", "state"),
    )
    id: Mapped[int] = mapped_column(primary_key=True)
    study_id: Mapped[int] = _study_key()
    architecture_id: Mapped[int] = mapped_column(ForeignKey("architectures.id"), index=True)
    #: 0, 1, 2 … in the order of proposal.
    number: Mapped[int]
    #: ``queued``, ``running``, ``measured_only``, ``complete``, ``infeasible``, ``stopped``, ``failed``.
    state: Mapped[str] = mapped_column(String(20))
    #: Why it is infeasible, stopped or failed, in one line.
    reason: Mapped[str | None] = mapped_column(Text)
    traceback: Mapped[str | None] = mapped_column(Text)
    created_at: Mapped[datetime]
    finished_at: Mapped[datetime | None]

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
    #: ``[[name, options, ordered, active], …]`` — kept once per study in practice, small either way.
    questions: Mapped[list[Any]]
    answers: Mapped[dict[str, Any]]
    sampler_state: Mapped[dict[str, Any]]


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
    #: Empty for what no target has a say in.
    target: Mapped[str] = mapped_column(String(200), default="")
    value: Mapped[float]
    #: 95 % interval, where one is known.
    low: Mapped[float | None]
    high: Mapped[float | None]


class JobRow(Base):
    """A piece of work on a candidate: executed at least once, committed once (compare-and-set on attempt)."""

    __tablename__ = "jobs"
    __table_args__ = (UniqueConstraint("candidate_id", "kind", "target"), Index("ix_jobs_state", "state"))
    id: Mapped[int] = mapped_column(primary_key=True)
    candidate_id: Mapped[int] = _candidate_key(index=False)
    #: ``gate``, ``train``, ``measure``, ``twin``; ``remeasure-1``, ``retrain-1`` … of a complete candidate.
    kind: Mapped[str] = mapped_column(String(20))
    target: Mapped[str] = mapped_column(String(200), default="")
    #: ``queued``, ``running``, ``done``, ``failed``; ``stale``: done on a target that proved bad, to be done again.
    state: Mapped[str] = mapped_column(String(20))
    attempt: Mapped[int] = mapped_column(default=0)
    started_at: Mapped[datetime | None]
    finished_at: Mapped[datetime | None]
    result: Mapped[dict[str, Any] | None]
    error: Mapped[str | None] = mapped_column(Text)


class EpochRow(Base):
    """One point of a candidate's curve."""

    __tablename__ = "epochs"
    __table_args__ = (UniqueConstraint("candidate_id", "epoch"),)
    id: Mapped[int] = mapped_column(primary_key=True)
    candidate_id: Mapped[int] = _candidate_key(index=False)
    epoch: Mapped[int]
    values: Mapped[dict[str, Any]]


class Measurement(Base):
    """One latency and the raw samples it can be derived from again."""

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
    #: ``unverified`` until the next canary says ``good`` or ``quarantined``.
    trust: Mapped[str] = mapped_column(String(20), default="unverified", server_default="unverified")
    #: The measurement whose samples these are, where the structure was known already.
    source_id: Mapped[int | None] = mapped_column(ForeignKey("measurements.id", ondelete="SET NULL"), index=True)
    #: Estimator, reference rung, threads, batch, runtime version, processor flags, discarded runs, memory.
    conditions: Mapped[dict[str, Any]]
    #: Compressed samples; ``nas.latency.protocol.measure.Samples.from_bytes`` reads them.
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
    #: Set when retention removed the file; the row stays.
    deleted_at: Mapped[datetime | None]


class ExportRow(Base):
    """A candidate that was taken away, and how it scored then: the only look at the test split."""

    __tablename__ = "exports"
    id: Mapped[int] = mapped_column(primary_key=True)
    candidate_id: Mapped[int] = _candidate_key(index=True)
    folder: Mapped[str] = mapped_column(Text)
    #: Of the exported file.
    sha256: Mapped[str] = mapped_column(String(64))
    #: Split → metric → ``[value, low, high]``, 95 %.
    scores: Mapped[dict[str, Any]]
    created_at: Mapped[datetime]


class ProfileRow(Base):
    """How much time each layer of a candidate takes on a target; the times include the profiler's own overhead."""

    __tablename__ = "profiles"
    id: Mapped[int] = mapped_column(primary_key=True)
    candidate_id: Mapped[int] = _candidate_key(index=True)
    target_id: Mapped[int] = mapped_column(ForeignKey("targets.id"), index=True)
    #: Wall time of a profiled run, mean of ``runs``.
    run_ms: Mapped[float]
    runs: Mapped[int]
    runtime_version: Mapped[str] = mapped_column(String(100))
    #: One ``{"name", "op", "layer", "time_ms"}`` a node the runtime ran; ``layer`` is a module's path or null.
    nodes: Mapped[list[Any]]
    created_at: Mapped[datetime]
