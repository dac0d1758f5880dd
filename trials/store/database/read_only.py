"""SQLite files that are not to be written: without write permission, or on a read-only or a network file system."""

from __future__ import annotations

import os
import sqlite3
from contextlib import suppress
from functools import lru_cache
from pathlib import Path
from urllib.parse import quote

from sqlalchemy import Engine

from nas.errors import StoreError

#: Types of file systems that several machines can mount.
NETWORK_TYPES = frozenset(
    {"nfs", "nfs4", "cifs", "smb3", "smbfs", "afs", "beegfs", "ceph", "fuse.ceph", "fuse.glusterfs", "fuse.sshfs"}
    | {"gpfs", "lustre", "ocfs2", "orangefs"}
)
#: ``immutable`` is needed for a file in WAL mode if SQLite can't create its files beside it.
_OPTIONS = ("mode=ro", "mode=ro&immutable=1")


def is_read_only(path: Path) -> bool:
    """Whether a database exists and can't be written; its folder has to be writable too, for SQLite's own files."""
    return os.path.isfile(path) and not (os.access(path, os.W_OK) and os.access(path.parent, os.W_OK))


def network_type(path: Path, mounts: Path = Path("/proc/self/mountinfo")) -> str | None:
    """Return the type of the network file system that a file is on; None if it is on none, or where nothing tells.

    Args:
        path: an absolute path.
        mounts: table of mounted file systems, as Linux writes it.
    """
    found, longest = None, -1
    with suppress(OSError):
        for line in mounts.read_text().splitlines():
            before, _, after = line.partition(" - ")
            point = before.split()[4].encode().decode("unicode_escape")  # spaces are written as \\040
            if path.is_relative_to(point) and len(point) >= longest:  # a later mount hides an earlier one
                found, longest = after.split()[0], len(point)
    return found if found in NETWORK_TYPES else None


@lru_cache
def _network_type_of(folder: Path) -> str | None:
    return network_type(Path(os.path.realpath(folder)))  # unlike resolve, it accepts links that lead to themselves


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
    """Raise StoreError if the engine's database can't be written, or must not be: on a network file system."""
    name = engine.url.database
    if engine.url.get_backend_name() != "sqlite" or not name:
        return
    if kind := _network_type_of(Path(name).absolute().parent):
        raise StoreError(
            f"the database {name} is on a network file system ({kind}), where the locks of SQLite do not work between "
            "machines, so it could be damaged; give a file on a disk of this machine, or a PostgreSQL database "
            "(docs/how-to/postgresql.md)"
        )
    if is_read_only(Path(name).absolute()):
        raise StoreError(f"this user can't write to the database {name}; copy it to a folder that can be written")


def _checked(path: Path, options: str) -> sqlite3.Connection:
    connection = sqlite3.connect(f"file:{quote(str(path))}?{options}", uri=True, check_same_thread=False)
    try:
        connection.execute("SELECT count(*) FROM sqlite_master")
    except sqlite3.Error:
        connection.close()
        raise
    return connection
