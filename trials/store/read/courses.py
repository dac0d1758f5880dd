"""How the best value of a study improved, as a few numbers: enough for a small line in a list of studies."""

from __future__ import annotations

from itertools import accumulate

from sqlalchemy import func, select
from sqlalchemy.orm import aliased

from trials.store.models import Candidate, Metric
from trials.store.read.metric_names import metric_is
from trials.store.read.session import Source, find_study, reading
from trials.store.read.studies import StudyRow

#: Number of equal parts of a study's trials.
PARTS = 40


def best_course(source: Source, row: StudyRow) -> tuple[float, ...]:
    """Return the best value of the first objective after each part of a study's trials that has complete ones.

    The database itself finds the best of each part, so that only ``PARTS`` numbers are read of a study of any size.

    Raises:
        UnknownNameError: the study does not exist any more.
    """
    metric, direction = next(iter(row.objectives.items()))
    total = sum(row.counts.values())
    with reading(source) as session:
        study, value = find_study(session, row.name), aliased(Metric)
        part = (Candidate.number * min(PARTS, total) // max(total, 1)).label("part")
        extreme = func.max(value.value) if direction == "maximize" else func.min(value.value)
        query = select(part, extreme).join(value, metric_is(value, session, study, metric))
        query = query.where(Candidate.study_id == study.id, Candidate.state == "complete").group_by(part).order_by(part)
        bests = [float(best) for _, best in session.execute(query)]
    return tuple(accumulate(bests, max if direction == "maximize" else min))
