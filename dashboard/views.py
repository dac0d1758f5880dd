"""Views of the studies that were shown last, so that a click reads nothing of a study that has not changed."""

from __future__ import annotations

from collections import OrderedDict
from threading import RLock
from typing import Any, TypeVar

from trials.reporting.study import StudyView
from trials.store.read.columns import StudyColumns
from trials.store.read.courses import best_course
from trials.store.read.session import Source
from trials.store.read.studies import StudyRow, study_token

T = TypeVar("T")
#: Number of studies in memory; each takes about 30 MB per 100,000 candidates.
MAX_STUDIES = 16
#: Number of studies whose course is in memory; each takes less than 1 kB.
MAX_COURSES = 2000


class Views:
    """Views of studies; several threads may use one object.

    The view of a study is kept until the study or another one of its group changes. The view after that reads only
    what is new.
    """

    def __init__(self, source: Source) -> None:
        self.source = source
        self._lock = RLock()
        self._views: OrderedDict[str, tuple[tuple[Any, ...], StudyView]] = OrderedDict()
        self._columns: OrderedDict[str, StudyColumns] = OrderedDict()
        self._courses: OrderedDict[str, tuple[object, tuple[float, ...]]] = OrderedDict()

    def view(self, name: str) -> StudyView:
        """The view of the present state of a study.

        Raises:
            UnknownNameError: the study does not exist.
        """
        token = study_token(self.source, name)
        with self._lock:
            known = self._views.get(name)
            if known is None or known[0] != token:
                known = token, StudyView(self.source, name, self.columns)
            return _kept(self._views, name, known)[1]

    def columns(self, name: str) -> StudyColumns:
        """The columns of a study, with what was read of them before."""
        with self._lock:
            return _kept(self._columns, name, self._columns.get(name) or StudyColumns(name))

    def course(self, row: StudyRow) -> tuple[float, ...]:
        """The course of a listed study: see ``best_course``; read again only if its counts or best values changed."""
        token = row.id, row.created_at, row.counts, row.best
        with self._lock:
            known = self._courses.get(row.name)
            if known is None or known[0] != token:
                known = token, best_course(self.source, row)
            return _kept(self._courses, row.name, known, MAX_COURSES)[1]


def _kept(shelf: OrderedDict[str, T], name: str, item: T, most: int = MAX_STUDIES) -> T:
    """Put an item on the shelf as the newest, and drop the oldest if there are too many."""
    shelf[name] = item
    shelf.move_to_end(name)
    while len(shelf) > most:
        shelf.popitem(last=False)
    return item
