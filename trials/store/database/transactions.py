"""Transactions that wait for a database that is away for a while, and notice if its file was removed or replaced.

A transaction is repeated after a temporary problem: a restart of the server, a lock, a full disk. If the connection
breaks during a commit, the server is asked later whether the commit took place, so that nothing is written twice and
no result is lost.
"""

from __future__ import annotations

import logging
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from sqlalchemy import Connection, Engine, text
from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError

from nas.errors import StorageLostError, StoreError
from trials.store.database.engine import sqlite_path
from trials.store.database.urls import shown

log = logging.getLogger(__name__)
T = TypeVar("T")

#: Seconds that a coordinator waits for its database to come back.
PATIENCE_S = 300.0
LONGEST_PAUSE_S = 5.0
#: SQLite's errors that may be temporary.
_PASSING_IN_SQLITE = {
    sqlite3.SQLITE_BUSY,
    sqlite3.SQLITE_LOCKED,
    sqlite3.SQLITE_IOERR,
    sqlite3.SQLITE_FULL,
    sqlite3.SQLITE_CANTOPEN,
}
_NUMBER = text("SELECT txid_current_if_assigned()")
_STATUS = text("SELECT txid_status(:number)")


@dataclass
class _Try(Generic[T]):
    """One try of a transaction: its result, and its number on the server, both set just before the commit."""

    number: int | None = None
    answer: T | None = None


class Transactions:
    """Runs transactions on one database, and repeats failed ones for up to ``patience_s`` seconds."""

    def __init__(self, engine: Engine, patience_s: float) -> None:
        self.patience_s = patience_s
        self._engine = engine
        self._writer = engine.execution_options(writes=True)
        self._path = sqlite_path(engine)
        self._file = self._found()

    def hurry(self) -> None:
        """From now on wait for a few seconds at most, because the user wants the process to end."""
        self.patience_s = min(self.patience_s, LONGEST_PAUSE_S)

    @contextmanager
    def begin(self) -> Iterator[Connection]:
        """A writing transaction, committed at the end and rolled back on an error; it is not repeated.

        Raises:
            StoreError: the database can't be reached, or another writer locked it for too long.
        """
        self.check_there()
        try:
            with self._writer.begin() as connection:
                yield connection
        except DBAPIError as error:
            if not (may_pass(error) or isinstance(error, OperationalError)):
                raise
            raise StoreError(f"{self._says(error)}; the change was not written; continue with `nas resume`") from error

    def run(self, work: Callable[[Connection], T], *, writes: bool) -> T:
        """Run ``work`` in one transaction that is committed exactly once, and return its result.

        Raises:
            StoreError: the database can't be reached for longer than ``patience_s``.
        """
        unsure: _Try[T] | None = None

        def once() -> T:
            nonlocal unsure
            if unsure is not None and self._took_place(unsure):
                return unsure.answer  # type: ignore[return-value]
            unsure = _Try[T]()
            return self._once(work, unsure, writes=writes)

        return self.patiently(once)

    def patiently(self, call: Callable[[], T]) -> T:
        """Return the result of ``call``; it is called again if the database went away.

        Raises:
            StoreError: see ``run``.
        """
        deadline, pause_s = None, 0.1
        while True:
            self.check_there()
            try:
                return call()
            except DBAPIError as error:
                if not may_pass(error):
                    raise self._failed(error) from error
                now = time.monotonic()
                if deadline is None:
                    deadline = now + self.patience_s
                    if self.patience_s:
                        log.warning("%s; trying again for %.0f minutes", self._says(error), self.patience_s / 60)
                if now >= deadline:
                    raise self._failed(error) from error
            time.sleep(min(pause_s, max(0.0, deadline - time.monotonic())))
            pause_s = min(2 * pause_s, LONGEST_PAUSE_S)
            self._engine.dispose()

    def check_there(self) -> None:
        """Raise StorageLostError if the SQLite file was removed or replaced, because new rows would be lost."""
        if self._path is None or (found := self._found()) == self._file:
            return
        raise StorageLostError(
            f"the database {self._path} was {'replaced by another file' if found else 'removed'} while it was in use: "
            "new results would be lost. Put the file back, then continue with `nas resume`"
        )

    def _found(self) -> tuple[int, int] | None:
        try:
            stat = self._path.stat() if self._path else None
        except FileNotFoundError:
            return None
        return (stat.st_dev, stat.st_ino) if stat else None

    def _once(self, work: Callable[[Connection], T], this: _Try[T], *, writes: bool) -> T:
        with (self._writer if writes else self._engine).connect() as connection, connection.begin() as transaction:
            answer = work(connection)
            if writes and self.patience_s and connection.dialect.name == "postgresql":
                this.number, this.answer = connection.execute(_NUMBER).scalar_one(), answer
            transaction.commit()
            return answer

    def _took_place(self, this: _Try[Any]) -> bool:
        """Whether a transaction was committed although the connection broke during its commit."""
        if this.number is None:
            return False
        while True:
            with self._engine.connect() as connection:
                status = connection.execute(_STATUS, {"number": this.number}).scalar_one()
            if status != "in progress":
                return bool(status == "committed")
            time.sleep(0.1)  # the server has not noticed yet that the connection is closed

    def _failed(self, error: DBAPIError) -> StoreError:
        if self.patience_s and may_pass(error):
            return StorageLostError(
                f"{self._says(error)}; gave up after {self.patience_s / 60:.0f} minutes. All committed results are "
                "kept: start the database again, then continue with `nas resume`"
            )
        return StoreError(f"{self._says(error)}; the change was not written; continue with `nas resume`")

    def _says(self, error: DBAPIError) -> str:
        return f"{shown(self._engine.url)}: {' '.join(str(error.orig).split())}"


def may_pass(error: DBAPIError) -> bool:
    """Whether the problem may be temporary, so that the same call may succeed later."""
    if isinstance(error.orig, sqlite3.Error):
        code = getattr(error.orig, "sqlite_errorcode", None)
        return code is not None and code & 0xFF in _PASSING_IN_SQLITE
    return error.connection_invalidated or isinstance(error, OperationalError | InterfaceError)
