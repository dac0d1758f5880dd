"""Read points of learning curves of complete candidates."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Select, func, select

from trials.store.models import Candidate, EpochRow, Study
from trials.store.read.session import Source, find_study, reading


def num_epochs(source: Source, name: str) -> int:
    """Return the epochs of the longest training of a complete candidate; 0 if there is none.

    Raises:
        UnknownNameError: the study does not exist.
    """
    with reading(source) as session:
        last = session.scalar(_of_complete(select(func.max(EpochRow.epoch)), find_study(session, name)))
    return 0 if last is None else last + 1


def scores_after(source: Source, name: str, metric: str, epochs: int) -> dict[int, float]:
    """Return number → score of each complete candidate after some epochs; empty if a training has no such score.

    Raises:
        UnknownNameError: the study does not exist.
    """
    with reading(source) as session:
        query = _of_complete(select(Candidate.number, EpochRow.values), find_study(session, name))
        rows = session.execute(query.where(EpochRow.epoch == epochs - 1)).all()
    return {number: float(values[metric]) for number, values in rows if metric in values}


def _of_complete(query: Select[Any], study: Study) -> Select[Any]:
    query = query.select_from(EpochRow).join(Candidate, Candidate.id == EpochRow.candidate_id)
    return query.where(Candidate.study_id == study.id, Candidate.state == "complete")
