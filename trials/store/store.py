"""The store: one database, and how its functions run in it.

The functions in ``trials.store.write`` and ``trials.store.read`` write and read rows; each takes a connection first. A
store runs one of them as a transaction: ``store.write(start_job, lease, job_id)``.

A coordinator writes under a fenced lease: every write names the lease or a job's attempt, and a write under a
lost lease or attempt changes nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, suppress
from functools import cached_property
from pathlib import Path
from typing import Concatenate, ParamSpec, TypeVar

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


class Store:
    """One database. Safe to use from one thread.

    With patience, a transaction whose database goes away waits for it and then takes place once.
    """

    def __init__(self, url: str, *, patience_s: float = 0.0) -> None:
        """Open; ``patience_s``: how long a transaction waits for a database that went away."""
        self.url = url
        self.engine: Engine = open_engine(url)
        self.transactions = Transactions(self.engine, patience_s)

    @property
    def folder(self) -> Path:
        """The folder of an SQLite file, else the working folder: where artifacts go by default."""
        path = sqlite_path(self.engine)
        return path.parent if path else Path.cwd()

    @cached_property
    def identity(self) -> Identity:
        """Tells this database from any other, its copies included; part of the path of every file of a study."""
        return self.read(identity.read) or self.write(identity.claim)

    def write(self, work: Callable[Concatenate[Connection, P], T], /, *arguments: P.args, **options: P.kwargs) -> T:
        """Run ``work`` in one transaction that is committed exactly once, and return its result.

        Raises:
            StoreError: the database is away for longer than the patience, or another writer kept it for too long.
        """
        return self.transactions.run(lambda connection: work(connection, *arguments, **options), writes=True)

    def read(self, work: Callable[Concatenate[Connection, P], T], /, *arguments: P.args, **options: P.kwargs) -> T:
        """Run ``work`` on one consistent state of the database and return its result; writers do not wait.

        Raises:
            StoreError: the database is away for longer than the patience.
        """
        return self.transactions.run(lambda connection: work(connection, *arguments, **options), writes=False)

    def transaction(self) -> AbstractContextManager[Connection]:
        """A connection that commits at the end, or rolls back on an error; it is not repeated.

        Raises:
            StoreError: the database went away, or another writer kept it for too long.
        """
        return self.transactions.begin()

    def delete_study(self, name: str) -> None:
        """Remove a study and all that hangs on it; its files are the caller's.

        Raises:
            UnknownNameError: there is none.
            StudyError: a live coordinator holds it.
        """
        self.write(remove_study, name)
        with suppress(IntegrityError), self.transaction() as connection:
            prune_architectures(connection)  # what another study proposes this moment stays

    def check_writable(self) -> None:
        """Raise StoreError if it can only be read: asked before work is done whose result would be stored."""
        check_writable(self.engine)

    def close(self) -> None:
        """Give connections back."""
        self.engine.dispose()
