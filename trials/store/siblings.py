"""Other databases in the same folder; studies of former versions of this program share files with them."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

from trials.store.database.engine import sqlite_path
from trials.store.store import Store

_HEADER = b"SQLite format 3\0"
_LISTS = "SELECT count(*) FROM artifacts WHERE uri = ? AND deleted_at IS NULL"


def is_listed_beside(store: Store, uri: str) -> bool:
    """Whether another SQLite database in the same folder lists a file as not deleted."""
    return any(_lists(path, uri) for path in _databases_beside(store))


def _databases_beside(store: Store) -> Iterator[Path]:
    own = sqlite_path(store.engine)
    for path in sorted(own.parent.iterdir()) if own else ():
        if path != own and path.is_file():
            with path.open("rb") as file:
                if file.read(len(_HEADER)) == _HEADER:
                    yield path


def _lists(path: Path, uri: str) -> bool:
    try:
        with closing(sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True)) as connection:
            return bool(connection.execute(_LISTS, (uri,)).fetchone()[0])
    except sqlite3.OperationalError as error:
        return "no such table" not in str(error)  # it can't be read, but may list the file
    except sqlite3.DatabaseError:
        return False
