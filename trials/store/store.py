"""The store: one database, and the transactions in which functions read and write it.

The functions in ``trials.store.write``, and those in ``trials.store.read`` that take a connection, run in a transaction
of a store, which passes the connection as first argument: ``store.write(start_job, lease, job_id)``.

A coordinator writes under a fenced lease: every write names the lease or the attempt of a job, and a write under a
lost lease or an ended attempt changes nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, suppress
from functools import cached_property
from pathlib import Path
from typing import Concatenate, ParamSpec, Protocol, TypeVar

from sqlalchemy import Connection, Engine
from sqlalchemy.exc import IntegrityError

from trials.store import identity
from trials.store.database.engine import open_engine, sqlite_path
from trials.store.database.read_only import check_writable
from trials.store.database.transactions import Transactions
from trials.store.identity import Identity
from trials.store.write.studies import prune_architectures, remove_study

P = ParamSpec("P")
T = TypeVar("T")


class Reading(Protocol):
    """Anything that reads a database, such as a store."""

    def read(self, work: Callable[Concatenate[Connection, P], T], /, *arguments: P.args, **options: P.kwargs) -> T:
        """See ``Store.read``."""


class Store:
    """One database, for use from one thread.

    With ``patience_s``, a transaction waits for a database that is away, and is then committed exactly once.
    """

    def __init__(self, url: str, *, patience_s: float = 0.0) -> None:
        """Open the database at ``url``; ``patience_s``: how long a transaction waits for a database that is away."""
        self.url = url
        self.engine: Engine = open_engine(url)
        self.transactions = Transactions(self.engine, patience_s)

    @property
    def folder(self) -> Path:
        """The default folder of artifacts: the folder of an SQLite file, else the working folder."""
        path = sqlite_path(self.engine)
        return path.parent if path else Path.cwd()

    @cached_property
    def identity(self) -> Identity:
        """Distinguishes this database from all others, also its copies; part of the path of every file of a study."""
        return self.read(identity.read) or self.write(identity.claim)

    def write(self, work: Callable[Concatenate[Connection, P], T], /, *arguments: P.args, **options: P.kwargs) -> T:
        """Run ``work`` in one transaction that is committed exactly once, and return its result.

        Raises:
            StoreError: the database is away for longer than ``patience_s``, or another writer locked it for too long.
        """
        return self.transactions.run(lambda connection: work(connection, *arguments, **options), writes=True)

    def read(self, work: Callable[Concatenate[Connection, P], T], /, *arguments: P.args, **options: P.kwargs) -> T:
        """Run ``work`` on one consistent state of the database, without blocking writers, and return its result.

        Raises:
            StoreError: the database is away for longer than ``patience_s``.
        """
        return self.transactions.run(lambda connection: work(connection, *arguments, **options), writes=False)

    def transaction(self) -> AbstractContextManager[Connection]:
        """A writing transaction, committed at the end and rolled back on an error; it is not repeated.

        Raises:
            StoreError: the database can't be reached, or another writer locked it for too long.
        """
        return self.transactions.begin()

    def delete_study(self, name: str) -> None:
        """Remove a study with all of its rows; the caller removes its files.

        Raises:
            UnknownNameError: the study does not exist.
            StudyError: a live coordinator holds its lease.
        """
        self.write(remove_study, name)
        with suppress(IntegrityError), self.transaction() as connection:
            prune_architectures(connection)  # a network that another study is just proposing is kept

    def check_writable(self) -> None:
        """Raise StoreError if the database can only be read; called before work whose result is to be stored."""
        check_writable(self.engine)

    def close(self) -> None:
        """Close all connections."""
        self.engine.dispose()
