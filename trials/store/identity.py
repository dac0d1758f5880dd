"""The identity of a database: a random number that is part of the path of every file its studies write.

Two databases therefore never share a folder. A copy of a database has the identity of its original until it is opened,
and then gets a new one. After that it reads the files of the original but never removes them. A database that was only
moved keeps its identity.
"""

from __future__ import annotations

import logging
import sqlite3
import uuid
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from sqlalchemy import Connection, select, text, update

from trials.store.dialect import table
from trials.store.models import DatabaseRow

log = logging.getLogger(__name__)
DATABASE = table(DatabaseRow)
_FIND = select(DATABASE.c.identity, DATABASE.c.named_before, DATABASE.c.place)
_POSTGRESQL_PLACE = text(
    "SELECT d.oid || ':' || coalesce(to_regnamespace(quote_ident(current_schema()))::oid::text, '') "
    "FROM pg_database d WHERE datname = current_database()"
)
_MAY_ASK_SYSTEM = text("SELECT has_function_privilege('pg_control_system()', 'execute')")
_SYSTEM = text("SELECT system_identifier FROM pg_control_system()")


def place_of(connection: Connection) -> str:
    """Where a database is: the path of an SQLite file, or the ids of a PostgreSQL server, database and schema."""
    if connection.dialect.name == "sqlite":
        return str(Path(connection.engine.url.database or "").resolve())
    system = connection.execute(_SYSTEM).scalar_one() if connection.execute(_MAY_ASK_SYSTEM).scalar_one() else ""
    return f"{system}:{connection.execute(_POSTGRESQL_PLACE).scalar_one()}"


@dataclass(frozen=True)
class Identity:
    """The identity of a database, and which folders of files belong to it."""

    #: 32 hexadecimal digits.
    key: str
    #: Studies created before this time have folders named by the study; None if no such folder belongs to the database.
    named_before: datetime | None


def read(connection: Connection) -> Identity | None:
    """The stored identity; None if the database was moved or copied since, so that ``claim`` has to be called."""
    found = connection.execute(_FIND).one()
    return Identity(found.identity, found.named_before) if found.place == place_of(connection) else None


def claim(connection: Connection) -> Identity:
    """Store and return the identity of a database that was moved or copied; a copy gets a new one."""
    found, here = connection.execute(_FIND).one(), place_of(connection)
    moved = connection.dialect.name == "sqlite" and not _is_copy(Path(found.place), Path(here), found.identity)
    claimed = Identity(found.identity, found.named_before) if moved else Identity(uuid.uuid4().hex, None)
    if not moved:
        log.warning(
            "this database is a copy of the one at %s: the files of its studies so far are read where they are and "
            "never removed by this copy; new files are stored in separate folders",
            found.place,
        )
    values = {"identity": claimed.key, "named_before": claimed.named_before, "place": here}
    connection.execute(update(DATABASE).values(**values))
    return claimed


def _is_copy(original: Path, here: Path, identity: str) -> bool:
    """Whether the database at ``original`` still exists and is not the same file as ``here``."""
    if not original.is_file() or original.samefile(here):
        return False
    try:
        with closing(sqlite3.connect(f"{original.as_uri()}?mode=ro", uri=True)) as connection:
            (found,) = connection.execute("SELECT identity FROM database").fetchone()
    except sqlite3.OperationalError as error:
        return "no such table" not in str(error)  # it can't be read now, but may be the original
    except sqlite3.DatabaseError:
        return False
    return bool(found == identity)
