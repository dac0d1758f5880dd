"""The log of a study: what its coordinator did, and all warnings of its process, kept in the database."""

from __future__ import annotations

import logging
import time
from types import TracebackType

from trials.store.store import Store
from trials.store.write.log import LogLine, add_lines

#: What a coordinator does goes only to the log; give the id of a candidate as ``extra={"candidate_id": …}``.
events = logging.getLogger("trials.coordinator.events")
events.setLevel(logging.INFO)
events.propagate = False

#: Loggers whose warnings the log keeps.
_WATCHED = ("trials", "nas")
#: Seconds between two writes.
WRITE_EVERY_S = 2.0
#: Largest number of lines between two writes; further ones are only counted.
MAX_LINES = 500


class StudyLog(logging.Handler):
    """Collects lines while a ``with`` block lasts, and writes them every few seconds and at its end."""

    def __init__(self, store: Store, study_id: int) -> None:
        super().__init__(logging.INFO)
        self._store, self._study_id = store, study_id
        self._lines: list[tuple[float, str, str, int | None]] = []
        self._dropped = 0
        self._written = time.monotonic()

    def __enter__(self) -> StudyLog:
        for name in (events.name, *_WATCHED):
            logging.getLogger(name).addHandler(self)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for name in (events.name, *_WATCHED):
            logging.getLogger(name).removeHandler(self)

    def emit(self, record: logging.LogRecord) -> None:
        """Keep a line until the next write."""
        if len(self._lines) >= MAX_LINES:
            self._dropped += 1
            return
        level = "info" if record.levelno < logging.WARNING else "warning" if record.levelno < logging.ERROR else "error"
        self._lines.append((time.monotonic(), level, record.getMessage(), getattr(record, "candidate_id", None)))

    def write(self, *, now: bool = False) -> None:
        """Write the collected lines if the last write is a while ago, or ``now``."""
        time_s = time.monotonic()
        if not now and time_s - self._written < WRITE_EVERY_S:
            return
        self._written = time_s
        lines, self._lines = self._lines, []
        rows = [LogLine(level, text, time_s - said, candidate_id) for said, level, text, candidate_id in lines]
        if self._dropped:
            rows.append(LogLine("warning", f"{self._dropped} more lines were left out", 0.0))
            self._dropped = 0
        if rows:
            self._store.write(add_lines, self._study_id, rows)
