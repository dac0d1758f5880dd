"""Read what a study has cost, and what it did not have to spend."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from trials.store.dialect import SecondsBetween
from trials.store.models import Candidate, EpochRow, JobRow, Measurement, Study, SuggestionRow
from trials.store.read.history import TRAININGS, is_training
from trials.store.read.session import Source, find_study, reading


@dataclass(frozen=True)
class Costs:
    """Counts and seconds of one study.

    A training or measurement that was not needed is valued at the mean of those that ran.
    """

    #: Suggestions of the strategy, and those among them that repeated a known candidate.
    suggestions: int
    duplicates: int
    #: Candidates measured before their training; ``reused`` of them had a structure with a stored latency.
    measured: int
    reused: int
    #: Candidates that were not trained: over a limit, or measured only.
    rejected: int
    measured_only: int
    #: Candidates that were trained, at least up to a rung, their epochs, and repeated trainings.
    trained: int
    epochs: int
    retrained: int
    train_s: float
    measure_s: float

    @property
    def saved_s(self) -> Mapping[str, float]:
        """What saved time → seconds of training or measuring that were not needed."""
        train_s = self.train_s / (self.trained + self.retrained) if self.trained else 0.0
        runs = self.measured - self.reused
        measure_s = self.measure_s / runs if runs else 0.0
        return {
            "limits before training": self.rejected * train_s,
            "measured only": self.measured_only * train_s,
            "no repeated network": self.duplicates * (train_s + measure_s),
            "stored latencies": self.reused * measure_s,
        }

    def to_json(self) -> dict[str, Any]:
        """Return counts and seconds as JSON values."""
        return {**vars(self), "saved_s": dict(self.saved_s)}


def study_costs(source: Source, name: str) -> Costs:
    """Return what the study ``name`` has cost so far.

    Raises:
        UnknownNameError: the study does not exist.
    """
    with reading(source) as session:
        study = find_study(session, name)
        suggested = _suggestions(session, study)
        counts, seconds = _jobs(session, study)
        states = Counter(_untrained_states(session, study))
        return Costs(
            suggestions=suggested.total(),
            duplicates=suggested[True],
            measured=counts["gate"],
            reused=_reused(session, study),
            rejected=states["infeasible"],
            measured_only=states["measured_only"],
            trained=counts["trained"],
            epochs=_epochs(session, study),
            retrained=counts["retrain"],
            train_s=sum(seconds.get(kind, 0.0) for kind in (*TRAININGS, "retrain")),
            measure_s=seconds.get("gate", 0.0),
        )


def _suggestions(session: Session, study: Study) -> Counter[bool]:
    query = select(SuggestionRow.duplicate, func.count()).where(SuggestionRow.study_id == study.id)
    return Counter({bool(duplicate): count for duplicate, count in session.execute(query.group_by("duplicate"))})


def _jobs(session: Session, study: Study) -> tuple[Counter[str], Mapping[str, float]]:
    """Kind of job → number of candidates with a finished one (of repeats: number of jobs), and its seconds.

    ``trained`` counts candidates whose training has reached a rung or the end.
    """
    own = JobRow.candidate_id.in_(select(Candidate.id).where(Candidate.study_id == study.id))
    candidates = func.count(JobRow.candidate_id.distinct())
    spent = func.sum(SecondsBetween(JobRow.started_at, JobRow.finished_at))
    ended = own, JobRow.finished_at.is_not(None)
    counts: Counter[str] = Counter(trained=session.scalar(select(candidates).where(*ended, is_training())) or 0)
    seconds: defaultdict[str, float] = defaultdict(float)
    for kind, count, duration in session.execute(
        select(JobRow.kind, candidates, spent).where(*ended).group_by(JobRow.kind)
    ):
        base = kind.partition("-")[0]
        counts[base] += count
        seconds[base] += duration or 0.0
    return counts, seconds


def _untrained_states(session: Session, study: Study) -> list[str]:
    trained = select(JobRow.id).where(JobRow.candidate_id == Candidate.id, is_training())
    return list(session.scalars(select(Candidate.state).where(Candidate.study_id == study.id, ~trained.exists())))


def _reused(session: Session, study: Study) -> int:
    query = select(func.count(Measurement.candidate_id.distinct())).join(
        Candidate, Candidate.id == Measurement.candidate_id
    )
    reused = Candidate.study_id == study.id, Measurement.purpose == "gate", Measurement.source_id.is_not(None)
    return session.scalar(query.where(*reused)) or 0


def _epochs(session: Session, study: Study) -> int:
    query = select(func.count(EpochRow.id)).join(Candidate, Candidate.id == EpochRow.candidate_id)
    return session.scalar(query.where(Candidate.study_id == study.id)) or 0
