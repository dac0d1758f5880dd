"""Read one candidate: its network, jobs, epochs, measurements, profiles, exports and files."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from nas.errors import UnknownNameError
from trials.store.models import (
    ArtifactRow,
    Candidate,
    ExportRow,
    JobRow,
    Measurement,
    ProfileRow,
    Target,
)
from trials.store.read import twins
from trials.store.read.candidates import CandidateRow, Value, candidate_row
from trials.store.read.doubts import doubts_of
from trials.store.read.epochs import Curve, curves_of
from trials.store.read.final_trainings import FinalTrainingInfo, final_trainings_of
from trials.store.read.metric_names import target_names
from trials.store.read.session import Source, find_study, reading


@dataclass(frozen=True)
class JobInfo:
    """One job of a candidate."""

    kind: str
    target: str
    state: str
    attempt: int
    started_at: datetime | None
    finished_at: datetime | None
    error: str | None
    #: Scores of a training or of a repeat of it with another seed; empty for other jobs.
    scores: Mapping[str, float]

    @property
    def seconds(self) -> float | None:
        """Duration of the last attempt; None if it has not ended."""
        if self.started_at is None or self.finished_at is None:
            return None
        return (self.finished_at - self.started_at).total_seconds()


@dataclass(frozen=True)
class MeasurementInfo:
    """One latency without its raw samples, which ``samples_blob`` reads by ``id``."""

    id: int
    target: str
    purpose: str
    latency_ms: float
    low_ms: float
    high_ms: float
    structure_hash: str
    conditions: Mapping[str, Any]
    created_at: datetime
    #: What canaries found: ``unverified``, ``good`` or ``quarantined``.
    trust: str
    #: Id of the stored measurement that was reused; None if this one was measured.
    source_id: int | None


@dataclass(frozen=True)
class ArtifactInfo:
    """One file of a candidate; a removed one is still listed."""

    kind: str
    uri: str
    sha256: str
    size_bytes: int
    record: Mapping[str, Any]
    deleted_at: datetime | None


@dataclass(frozen=True)
class ProfileInfo:
    """Time of each layer on a target."""

    target: str
    #: Mean wall time of the ``runs`` profiled runs.
    run_ms: float
    runs: int
    runtime_version: str
    #: One ``{"name", "op", "layer", "time_ms"}`` for each executed node, in order.
    nodes: tuple[Mapping[str, Any], ...]
    created_at: datetime


@dataclass(frozen=True)
class ExportInfo:
    """An exported candidate."""

    number: int
    folder: str
    #: Split → metric → value and interval.
    scores: Mapping[str, Mapping[str, Value]]
    created_at: datetime


@dataclass(frozen=True)
class CandidateDetail:
    """Everything about one candidate except raw samples."""

    row: CandidateRow
    study: str
    traceback: str | None
    identity: str
    space: str
    #: As written by ``nas.space.Architecture.to_json``.
    definition: Mapping[str, Any]
    #: One mapping for each layer: ``name``, ``op``, ``output_shape``, ``parameters``, ``macs``, ``bits``.
    layers: tuple[Mapping[str, Any], ...]
    jobs: tuple[JobInfo, ...]
    curve: Curve
    measurements: tuple[MeasurementInfo, ...]
    artifacts: tuple[ArtifactInfo, ...]
    #: The newest profile on each target.
    profiles: tuple[ProfileInfo, ...]
    #: ``classes`` and ``matrix``: numbers of validation examples, by true class and predicted class.
    confusion: Mapping[str, Any] | None = None
    #: Its final trainings, oldest first.
    final_trainings: tuple[FinalTrainingInfo, ...] = ()
    #: The first target of its study, whose metrics have names without a target.
    first_target: str = ""


def candidate_detail(source: Source, name: str, number: int) -> CandidateDetail:
    """Candidate ``number`` of the study ``name``.

    Raises:
        UnknownNameError: no such study or candidate; the message says which numbers there are.
    """
    with reading(source) as session:
        study = find_study(session, name)
        query = select(Candidate).where(Candidate.study_id == study.id, Candidate.number == number)
        candidate = session.scalar(query)
        if candidate is None:
            last = session.scalar(select(func.max(Candidate.number)).where(Candidate.study_id == study.id))
            allowed = "it has no trials yet" if last is None else f"its trials are 0 to {last}"
            raise UnknownNameError(f"study {name!r} has no trial {number}; {allowed}")
        missing = twins.remarks(session.connection(), [candidate.id])
        return CandidateDetail(
            row=candidate_row(
                study,
                candidate,
                missing.get(candidate.id, ()),
                doubts_of(session, [candidate.id]).get(candidate.id, ()),
            ),
            confusion=_confusion(candidate, session),
            study=study.name,
            traceback=candidate.traceback,
            identity=candidate.architecture.identity,
            space=candidate.architecture.space,
            definition=candidate.architecture.definition,
            layers=tuple(candidate.architecture.layers),
            jobs=_jobs(session, candidate.id),
            curve=curves_of(session, [candidate.id]).get(candidate.id, Curve((), ())),
            measurements=_measurements(session, candidate.id),
            artifacts=_artifacts(session, candidate.id),
            profiles=_profiles(session, candidate.id),
            final_trainings=final_trainings_of(session, [candidate.id]).get(candidate.id, ()),
            first_target=next(iter(target_names(study)), ""),
        )


def samples_blob(source: Source, measurement_id: int) -> bytes:
    """Raw samples of a measurement; ``nas.latency.protocol.samples.Samples.from_bytes`` reads them.

    Raises:
        UnknownNameError: no such measurement.
    """
    with reading(source) as session:
        blob = session.scalar(select(Measurement.samples).where(Measurement.id == measurement_id))
    if blob is None:
        raise UnknownNameError(f"no measurement {measurement_id}; its study may have been deleted")
    return blob


def exports(source: Source, name: str) -> list[ExportInfo]:
    """The newest export of each exported candidate of the study ``name``, by number.

    Raises:
        UnknownNameError: the study does not exist.
    """
    with reading(source) as session:
        study = find_study(session, name)
        query = select(ExportRow, Candidate.number).join(Candidate, Candidate.id == ExportRow.candidate_id)
        query = query.where(Candidate.study_id == study.id).order_by(Candidate.number, ExportRow.id)
        newest = {number: row for row, number in session.execute(query)}
        return [
            ExportInfo(
                number=number,
                folder=row.folder,
                scores={
                    split: {metric: Value(*value) for metric, value in found.items()}
                    for split, found in row.scores.items()
                },
                created_at=row.created_at,
            )
            for number, row in newest.items()
        ]


def _confusion(candidate: Candidate, session: Session) -> Mapping[str, Any] | None:
    query = select(JobRow.result["confusion"]).where(JobRow.candidate_id == candidate.id, JobRow.kind == "train")
    found: Mapping[str, Any] | None = session.scalar(query.where(JobRow.state == "done"))
    return found


def _profiles(session: Session, candidate_id: int) -> tuple[ProfileInfo, ...]:
    query = select(ProfileRow, Target.name).join(Target, Target.id == ProfileRow.target_id)
    query = query.where(ProfileRow.candidate_id == candidate_id).order_by(ProfileRow.id)
    newest = {target: row for row, target in session.execute(query)}
    return tuple(
        ProfileInfo(target, row.run_ms, row.runs, row.runtime_version, tuple(row.nodes), row.created_at)
        for target, row in newest.items()
    )


def _jobs(session: Session, candidate_id: int) -> tuple[JobInfo, ...]:
    query = select(JobRow).where(JobRow.candidate_id == candidate_id).order_by(JobRow.id)
    return tuple(
        JobInfo(
            kind=row.kind,
            target=row.target,
            state=row.state,
            attempt=row.attempt,
            started_at=row.started_at,
            finished_at=row.finished_at,
            error=row.error or (row.result or {}).get("error"),
            scores=_scores(row.result or {}),
        )
        for row in session.scalars(query)
    )


def _scores(result: Mapping[str, Any]) -> dict[str, float]:
    """Return the scores of a training: its metrics that have intervals."""
    metrics = result.get("metrics", {})
    return result.get("scores") or {name: metrics[name] for name in result.get("intervals", {})}


def _measurements(session: Session, candidate_id: int) -> tuple[MeasurementInfo, ...]:
    query = (
        select(Measurement, Target.name)
        .join(Target, Target.id == Measurement.target_id)
        .where(Measurement.candidate_id == candidate_id)
        .order_by(Measurement.id)
    )
    return tuple(
        MeasurementInfo(
            id=row.id,
            target=target,
            purpose=row.purpose,
            latency_ms=row.latency_ms,
            low_ms=row.low_ms,
            high_ms=row.high_ms,
            structure_hash=row.structure_hash,
            conditions=row.conditions,
            created_at=row.created_at,
            trust=row.trust,
            source_id=row.source_id,
        )
        for row, target in session.execute(query)
    )


def _artifacts(session: Session, candidate_id: int) -> tuple[ArtifactInfo, ...]:
    query = select(ArtifactRow).where(ArtifactRow.candidate_id == candidate_id).order_by(ArtifactRow.id)
    return tuple(
        ArtifactInfo(
            kind=row.kind,
            uri=row.uri,
            sha256=row.sha256,
            size_bytes=row.size_bytes,
            record=row.record,
            deleted_at=row.deleted_at,
        )
        for row in session.scalars(query)
    )
