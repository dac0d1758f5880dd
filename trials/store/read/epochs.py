"""Read learning curves."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Select, func, select
from sqlalchemy.orm import Session

from trials.store.models import Candidate, EpochRow, Study
from trials.store.read.session import Source, find_study, reading


@dataclass(frozen=True)
class Curve:
    """The values of a training by epoch."""

    epochs: tuple[int, ...]
    #: One mapping of name → value for each epoch.
    values: tuple[Mapping[str, float], ...]


def curves(source: Source, name: str, numbers: Sequence[int]) -> dict[int, Curve]:
    """Candidate number → curve, for each of ``numbers`` that has one."""
    with reading(source) as session:
        study = find_study(session, name)
        query = select(Candidate.id, Candidate.number)
        query = query.where(Candidate.study_id == study.id, Candidate.number.in_(numbers))
        number_of = {key: number for key, number in session.execute(query)}
        found = curves_of(session, list(number_of))
        return {number_of[key]: curve for key, curve in sorted(found.items(), key=lambda item: number_of[item[0]])}


def curves_of(session: Session, ids: Sequence[int]) -> dict[int, Curve]:
    """Id of a candidate → curve, for each of ``ids`` that has one."""
    query = select(EpochRow).where(EpochRow.candidate_id.in_(ids)).order_by(EpochRow.candidate_id, EpochRow.epoch)
    return grouped((row.candidate_id, row.epoch, row.values) for row in session.scalars(query))


def grouped(rows: Iterable[tuple[int, int, Mapping[str, float]]]) -> dict[int, Curve]:
    """Id of a training → curve, from rows of (id, epoch, values) in the order of epochs."""
    found: dict[int, list[tuple[int, Mapping[str, float]]]] = {}
    for key, epoch, values in rows:
        found.setdefault(key, []).append((epoch, values))
    return {
        key: Curve(tuple(epoch for epoch, _ in items), tuple(values for _, values in items))
        for key, items in found.items()
    }


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
    return {number: float(values[metric]) for number, values in rows if values.get(metric) is not None}


def _of_complete(query: Select[Any], study: Study) -> Select[Any]:
    query = query.select_from(EpochRow).join(Candidate, Candidate.id == EpochRow.candidate_id)
    return query.where(Candidate.study_id == study.id, Candidate.state == "complete")
