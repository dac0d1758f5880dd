"""Read what a monitoring system watches, for all studies at once, in three statements whatever their number."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import func, or_, select

from trials.store.dialect import Clock
from trials.store.models import Candidate, JobRow, Study
from trials.store.read.session import Source, reading
from trials.store.read.states import LIVE, present_state

#: Seconds for which an ended study is still watched, so that its last figures are seen.
AFTERWARDS_S = 3600.0


@dataclass(frozen=True)
class WatchedStudy:
    """One study."""

    name: str
    #: See ``trials.store.read.states.present_state``.
    state: str
    #: Number of trials in its budget.
    budget: int
    #: Totals so far: see ``trials.store.models.Study.totals``.
    totals: Mapping[str, float]
    #: Seconds until the lease of its coordinator ends, negative afterwards; None without a coordinator.
    lease_left_s: float | None
    #: State → number of candidates; states without candidates are missing.
    trials: Mapping[str, int]
    #: (target, or empty for trainings; ``running`` or ``queued``) → number of jobs.
    jobs: Mapping[tuple[str, str], int]


def watched_studies(source: Source) -> Sequence[WatchedStudy]:
    """Return the studies that have not ended, and those that ended within an hour, oldest first.

    A job of a study without a live coordinator counts as queued: it runs again when the study continues.
    """
    columns = Study.id, Study.name, present_state(), Study.plan, Study.totals, Study.lease_expires_at, Clock()
    recent = or_(Study.finished_at.is_(None), Study.finished_at > Clock(-AFTERWARDS_S))
    with reading(source) as session:
        studies = session.execute(select(*columns).where(recent).order_by(Study.id)).all()
        ids = [study.id for study in studies]
        by_state = select(Candidate.study_id, Candidate.state, func.count()).where(Candidate.study_id.in_(ids))
        trials: dict[int, dict[str, int]] = {key: {} for key in ids}
        for key, state, count in session.execute(by_state.group_by(Candidate.study_id, Candidate.state)):
            trials[key][state] = count
        jobs: dict[int, dict[tuple[str, str], int]] = {key: {} for key in ids}
        states = {study.id: study[2] for study in studies}
        grouped = Candidate.study_id, JobRow.target, JobRow.state
        opened = select(*grouped, func.count()).join(Candidate, Candidate.id == JobRow.candidate_id)
        opened = opened.where(JobRow.state.in_(("running", "queued")), Candidate.study_id.in_(ids))
        opened = opened.where(Candidate.state.in_(("queued", "running", "complete"))).group_by(*grouped)
        for key, target, state, count in session.execute(opened):
            place = target, state if states[key] in LIVE else "queued"
            jobs[key][place] = jobs[key].get(place, 0) + count
    return [_watched(study, trials[study.id], jobs[study.id]) for study in studies]


def _watched(study: Any, trials: Mapping[str, int], jobs: Mapping[tuple[str, str], int]) -> WatchedStudy:
    _, name, state, plan, totals, expires, clock = study
    left = None if expires is None else (expires - clock).total_seconds()
    return WatchedStudy(name, state, plan.get("budget", {}).get("trials", 0), totals, left, trials, jobs)
