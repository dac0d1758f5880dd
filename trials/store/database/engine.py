"""Open a database by URL and bring its tables up to date."""

from __future__ import annotations

import json
import math
import os
import re
import sqlite3
import time
from functools import partial
from pathlib import Path
from typing import Any

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, Engine, create_engine, event, text
from sqlalchemy.engine import URL
from sqlalchemy.exc import DBAPIError
from sqlalchemy.pool import NullPool

from nas.errors import StoreError
from nas.extras import missing
from nas.foreign import lines, storable
from trials.store.database.read_only import check_writable, connect, is_read_only
from trials.store.database.urls import parse_url, shown

MIGRATIONS = Path(__file__).parents[1] / "migrations"
#: Key of PostgreSQL's advisory lock around a migration.
MIGRATION_LOCK = 0x6E6173
#: How JSON writes NUL and surrogates.
_SUSPECT = re.compile(r"\\u(?:0000|d[89a-f])")
_ENCODER = json.JSONEncoder(allow_nan=False)
#: Seconds a writer waits for another one.
BUSY_S = 60


def open_engine(url: str) -> Engine:
    """An engine whose tables are of this program's version.

    Raises:
        StoreError: no such kind of database, no server, or a database of a newer program.
        MissingPackageError: its driver is not installed.
    """
    parsed = parse_url(url)
    file = Path(str(parsed.database)).absolute() if parsed.get_backend_name() == "sqlite" else None
    read_only = file is not None and is_read_only(file)
    options = {"poolclass": NullPool, "creator": partial(connect, file)} if file and read_only else _options(parsed)
    engine = _made(parsed, json_serializer=to_json, **options)
    if file:
        event.listen(engine, "connect", _set_begin if read_only else _configure_sqlite)
        event.listen(engine, "begin", _begin_sqlite)
    try:
        migrate(engine)
    except StoreError:
        engine.dispose()
        raise
    except (DBAPIError, OSError, ValueError, sqlite3.Error) as error:
        engine.dispose()
        raise _unopened(parsed, error) from None
    return engine


def check_reachable(url: str) -> None:
    """Open a database that another program's tables go to, and write nothing.

    Raises:
        StoreError: it can't be opened, or not written.
        MissingPackageError: its driver is not installed.
    """
    parsed = parse_url(url)
    engine = _made(parsed)
    try:
        check_writable(engine)
        with engine.connect() as connection:
            connection.exec_driver_sql("SELECT 1")
    except (DBAPIError, OSError, ValueError) as error:
        raise _unopened(parsed, error) from None
    finally:
        engine.dispose()


def _made(parsed: URL, **options: Any) -> Engine:
    """An engine that has connected to nothing yet."""
    try:
        return create_engine(parsed, **options)
    except ImportError as error:
        driver = parsed.get_driver_name()
        raise missing(driver, f"storage {shown(parsed)}", f"can't be imported ({error})") from None


def _unopened(parsed: URL, error: Exception) -> StoreError:
    """The error for a database that can't be opened, without the password, which drivers may repeat."""
    reason = str(getattr(error, "orig", None) or error).strip()
    if parsed.password:
        reason = reason.replace(str(parsed.password), "***")
    hint = "is its folder there, and is it a database?"
    if parsed.get_backend_name() == "postgresql":
        hint = "is the server up, the database created, the user allowed?"
    return StoreError(f"can't open {shown(parsed)}: {lines(reason)}; {hint}")


def sqlite_path(engine: Engine) -> Path | None:
    """The file of an SQLite database."""
    name = engine.url.database
    return Path(os.path.realpath(name)) if engine.url.get_backend_name() == "sqlite" and name else None


def migrate(engine: Engine, scripts: Path = MIGRATIONS) -> None:
    """Create or upgrade the tables; of several processes one does, the others wait for it.

    Raises:
        StoreError: the tables are of a version that ``scripts`` do not know.
    """
    config = Config()
    config.set_main_option("script_location", str(scripts).replace("%", "%%"))
    known = ScriptDirectory.from_config(config)
    if _is_current(engine, known):
        return
    with engine.execution_options(writes=True).connect() as connection:
        _prepare(connection)
        with connection.begin():
            if engine.dialect.name == "postgresql":
                connection.execute(text(f"SELECT pg_advisory_xact_lock({MIGRATION_LOCK})"))
            config.attributes["connection"] = connection
            command.upgrade(config, "head")
        connection.invalidate()  # with what `_prepare` set


def to_json(value: Any) -> str:
    """JSON as every database takes it.

    A number that is not finite (a diverged loss) is written as null; NUL and halves of surrogate pairs are replaced.
    """
    try:
        text = _ENCODER.encode(value)
    except ValueError:
        return to_json(_storable(value))
    return _ENCODER.encode(_storable(value)) if _SUSPECT.search(text) else text


def _storable(value: Any) -> Any:
    if isinstance(value, str):
        return storable(value)
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {_storable(key): _storable(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_storable(item) for item in value]
    return value


def _options(url: URL) -> dict[str, Any]:
    if url.get_backend_name() == "sqlite":
        return {"connect_args": {"timeout": BUSY_S}}
    return {"pool_pre_ping": True, "connect_args": {"connect_timeout": 10}}


def _set_begin(connection: Any, _record: object) -> None:
    connection.isolation_level = None  # transactions are begun below, not by the driver


def _configure_sqlite(connection: Any, record: object) -> None:
    _set_begin(connection, record)
    _set_wal(connection)
    for pragma in ("synchronous=NORMAL", "foreign_keys=ON"):
        connection.execute(f"PRAGMA {pragma}")


def _set_wal(connection: Any) -> None:
    """Processes that create one file at once: SQLite answers *locked* here without waiting, so we wait."""
    deadline = time.monotonic() + BUSY_S
    while True:
        try:
            connection.execute("PRAGMA journal_mode=WAL")
            return
        except Exception as error:
            if "locked" not in str(error) or time.monotonic() > deadline:
                raise
            time.sleep(0.02)


def _begin_sqlite(connection: Connection) -> None:
    """A writer takes the lock first: a transaction that reads before it writes can't wait for it later."""
    writes = connection.get_execution_options().get("writes", False)
    if writes:
        check_writable(connection.engine)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")


def _is_current(engine: Engine, known: ScriptDirectory) -> bool:
    with engine.connect() as connection:
        found = MigrationContext.configure(connection).get_current_revision()
    head = known.get_current_head()
    revisions = {script.revision for script in known.walk_revisions()}
    if found is not None and found not in revisions:
        raise StoreError(
            f"{shown(engine.url)} has tables of version {found!r}, this program knows up to {head!r}: "
            "a newer version of it made them, or another program; upgrade this one, or use another database"
        )
    return found == head


def _prepare(connection: Connection) -> None:
    """Rebuilding a table drops it, and SQLite would cascade that to all rows that point to it."""
    if connection.dialect.name == "sqlite":
        raw = connection.connection.driver_connection
        assert raw is not None
        raw.execute("PRAGMA foreign_keys=OFF")
