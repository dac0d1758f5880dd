"""All candidates of a study as columns in memory, brought up to date by reading only what has changed."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from threading import Lock
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Row, Select, literal, select
from sqlalchemy.orm import Session, aliased

from nas.strategies.pareto import Floats
from trials.store.models import Architecture, Candidate, Metric, Study
from trials.store.read.metric_names import metric_is
from trials.store.read.session import find_study

#: Number of revisions that are read again: on PostgreSQL, a transaction may commit an earlier one later.
OVERLAP = 64
_OF_ARCHITECTURES = {"parameters": Architecture.parameters, "macs": Architecture.macs}


class StudyColumns:
    """Columns of the study ``name``: numbers, states, and every metric from when it is first asked for.

    Several threads may use one object.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self._lock = Lock()
        self._begin(None)

    def read(
        self, session: Session, names: Sequence[str]
    ) -> tuple[NDArray[np.int64], NDArray[np.str_], Sequence[Floats]]:
        """Read what has changed since the last call, and return columns of all candidates, ascending by number.

        Returns:
            Numbers ``(n,)``, states ``(n,)``, and for each name, which is ``number``, ``parameters``, ``macs`` or a
            metric, the values with the ends of their 95 % intervals ``(n, 3)``; unknown ones are ``nan``.

        Raises:
            UnknownNameError: the study does not exist.
        """
        study = find_study(session, self._name)
        with self._lock:
            if (study.id, study.created_at) != self._identity:  # another study of this name was deleted
                self._begin((study.id, study.created_at))
            self._refresh(session, study)
            for name in names:
                if name not in self._cells:
                    rows = session.execute(_values(session, study, name)).all()
                    self._cells[name] = self._unknown(len(self._numbers))
                    self._fill(name, rows)
            return self._numbers, self._states, [self._cells[name] for name in names]

    def _begin(self, identity: tuple[int, datetime] | None) -> None:
        """Forget everything that was read."""
        self._identity, self._revision = identity, -1
        self._numbers: NDArray[np.int64] = np.empty(0, dtype=np.int64)
        self._states: NDArray[np.str_] = np.empty(0, dtype="U13")
        self._cells: dict[str, Floats] = {}

    def _refresh(self, session: Session, study: Study) -> None:
        """Read the candidates that are new or have changed, which have a higher revision than those read before."""
        since = Candidate.revision > self._revision - OVERLAP
        query = select(Candidate.number, Candidate.state, Candidate.revision)
        changed = session.execute(query.where(Candidate.study_id == study.id, since)).all()
        if not changed:
            return
        numbers, states, revisions = zip(*changed, strict=True)
        self._merge(np.array(numbers), np.array(states, dtype=self._states.dtype))
        for name in self._cells:
            self._fill(name, session.execute(_values(session, study, name).where(since)).all())
        self._revision = max(revisions)

    def _merge(self, numbers: NDArray[np.int64], states: NDArray[np.str_]) -> None:
        """Add new candidates to all columns, and set the states of known ones."""
        new = ~np.isin(numbers, self._numbers)
        order = np.argsort(np.concatenate([self._numbers, numbers[new]]), kind="stable")
        known, added = self._states.copy(), self._unknown(int(new.sum()))
        known[np.searchsorted(self._numbers, numbers[~new])] = states[~new]
        self._numbers = np.concatenate([self._numbers, numbers[new]])[order]
        self._states = np.concatenate([known, states[new]])[order]
        self._cells = {name: np.concatenate([cells, added])[order] for name, cells in self._cells.items()}

    def _fill(self, name: str, rows: Sequence[Row[Any]]) -> None:
        """Set values of a column; rows of candidates that are not known yet will be read again with them."""
        numbers = np.array([row[0] for row in rows], dtype=np.int64)
        known = np.isin(numbers, self._numbers)
        cells = np.array([row[1:] for row in rows], dtype=np.float64).reshape(-1, 3)
        self._cells[name][np.searchsorted(self._numbers, numbers[known])] = cells[known]

    @staticmethod
    def _unknown(count: int) -> Floats:
        return np.full((count, 3), np.nan)


def _values(session: Session, study: Study, name: str) -> Select[*tuple[Any, ...]]:
    """A query of number, value, and ends of the interval of all candidates that have the value."""
    query, nothing = select(Candidate.number).where(Candidate.study_id == study.id), literal(None)
    if name == "number":
        return query.add_columns(Candidate.number, nothing, nothing)
    if name in _OF_ARCHITECTURES:
        query = query.join(Architecture, Architecture.id == Candidate.architecture_id)
        return query.add_columns(_OF_ARCHITECTURES[name], nothing, nothing)
    metric = aliased(Metric)
    query = query.join(metric, metric_is(metric, session, study, name))
    return query.add_columns(metric.value, metric.low, metric.high)
