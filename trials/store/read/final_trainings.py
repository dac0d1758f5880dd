"""Read final trainings."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from trials.store.models import Candidate, FinalEpochRow, FinalTrainingRow
from trials.store.owners import is_gone
from trials.store.read.candidates import Value
from trials.store.read.epochs import Curve, grouped
from trials.store.read.session import Source, find_study, reading


@dataclass(frozen=True)
class FinalTrainingInfo:
    """One final training of a candidate."""

    id: int
    #: As written by ``trials.plans.final_training.FinalTraining.to_json``.
    recipe: Mapping[str, Any]
    #: ``running``, ``interrupted`` (the same command continues it), ``complete`` or ``failed``.
    state: str
    attempt: int
    environment: Mapping[str, Any]
    curve: Curve
    #: Metric → value on the validation split, of the deployed file; empty before the end.
    scores: Mapping[str, Value]
    #: ``kind``, ``uri``, ``sha256`` and ``size_bytes`` of each stored file.
    files: tuple[Mapping[str, Any], ...]
    doubts: tuple[str, ...]
    error: str | None
    traceback: str | None
    started_at: datetime
    finished_at: datetime | None

    @property
    def description(self) -> str:
        """The recipe in a few words."""
        spec = self.recipe["estimator_spec"]
        parts = [spec["name"], *(f"{spec[key]} epochs" for key in ("epochs",) if key in spec)]
        if self.recipe["teacher"]:
            parts.append(f"teacher {self.recipe['teacher']}")
        if self.recipe["workers"] > 1:
            parts.append(f"{self.recipe['workers']} workers")
        return ", ".join([*parts, f"seed {self.recipe['seed']}"])

    @property
    def weights(self) -> Mapping[str, Any] | None:
        """The file with the trained weights; None before the end."""
        return next((file for file in self.files if file["kind"] == "weights"), None)


def best_final_training(
    trainings: Sequence[FinalTrainingInfo], metric: str, direction: str
) -> FinalTrainingInfo | None:
    """Return the complete training with the best score; None if none is complete."""
    sign = 1 if direction == "maximize" else -1
    complete = [item for item in trainings if item.state == "complete" and metric in item.scores]
    return max(complete, key=lambda item: sign * item.scores[metric].value, default=None)


def final_trainings(source: Source, name: str) -> dict[int, tuple[FinalTrainingInfo, ...]]:
    """Number of a candidate → its final trainings, oldest first, for each candidate of a study that has one.

    Raises:
        UnknownNameError: the study does not exist.
    """
    with reading(source) as session:
        study = find_study(session, name)
        query = select(Candidate.id, Candidate.number).join(
            FinalTrainingRow, FinalTrainingRow.candidate_id == Candidate.id
        )
        rows = session.execute(query.where(Candidate.study_id == study.id).order_by(Candidate.number).distinct())
        numbers = {key: number for key, number in rows}
        return {numbers[key]: found for key, found in final_trainings_of(session, list(numbers)).items()}


def final_trainings_of(session: Session, ids: Sequence[int]) -> dict[int, tuple[FinalTrainingInfo, ...]]:
    """Id of a candidate → its final trainings, oldest first, for each of ``ids`` that has one."""
    query = select(FinalTrainingRow).where(FinalTrainingRow.candidate_id.in_(ids)).order_by(FinalTrainingRow.id)
    rows = list(session.scalars(query))
    epochs = select(FinalEpochRow).where(FinalEpochRow.final_training_id.in_([row.id for row in rows]))
    found = session.scalars(epochs.order_by(FinalEpochRow.final_training_id, FinalEpochRow.epoch)) if rows else ()
    curves = grouped((row.final_training_id, row.epoch, row.values) for row in found)
    trainings: dict[int, tuple[FinalTrainingInfo, ...]] = {key: () for key in ids if rows}
    for row in rows:
        trainings[row.candidate_id] += (_info(row, curves.get(row.id, Curve((), ()))),)
    return {key: value for key, value in trainings.items() if value}


def _info(row: FinalTrainingRow, curve: Curve) -> FinalTrainingInfo:
    result = row.result or {}
    metrics, intervals = result.get("metrics", {}), result.get("intervals", {})
    abandoned = row.state == "running" and row.owner is not None and is_gone(row.owner)
    return FinalTrainingInfo(
        id=row.id,
        recipe=row.recipe,
        state="interrupted" if abandoned else row.state,
        attempt=row.attempt,
        environment=row.environment,
        curve=curve,
        scores={name: Value(metrics[name], *ends) for name, ends in intervals.items()},
        files=tuple(result.get("artifacts", ())),
        doubts=tuple(result.get("doubts", ())),
        error=row.error,
        traceback=row.traceback,
        started_at=row.started_at,
        finished_at=row.finished_at,
    )
