"""SQLite files that can be read but not written: without write permission, or on a read-only file system."""

from __future__ import annotations

import os
import sqlite3
from pathlib import Path
from urllib.parse import quote

from sqlalchemy import Engine

from nas.errors import StoreError

#: ``immutable`` is needed for a file in WAL mode if SQLite can't create its files beside it.
_OPTIONS = ("mode=ro", "mode=ro&immutable=1")


def is_read_only(path: Path) -> bool:
    """Whether a database exists and can't be written; its folder has to be writable too, for SQLite's own files."""
    return os.path.isfile(path) and not (os.access(path, os.W_OK) and os.access(path.parent, os.W_OK))


def connect(path: Path) -> sqlite3.Connection:
    """A read-only connection.

    Raises:
        sqlite3.Error: the file can't be read or is not a database.
    """
    *first, last = _OPTIONS
    for options in first:
        try:
            return _checked(path, options)
        except sqlite3.OperationalError:
            continue
    return _checked(path, last)


def check_writable(engine: Engine) -> None:
    """Raise StoreError if the engine's database can't be written."""
    name = engine.url.database
    if engine.url.get_backend_name() == "sqlite" and name and is_read_only(Path(name).absolute()):
        raise StoreError(f"this user can't write to the database {name}; copy it to a folder that can be written")


def _checked(path: Path, options: str) -> sqlite3.Connection:
    connection = sqlite3.connect(f"file:{quote(str(path))}?{options}", uri=True, check_same_thread=False)
    try:
        connection.execute("SELECT count(*) FROM sqlite_master")
    except sqlite3.Error:
        connection.close()
        raise
    return connection
