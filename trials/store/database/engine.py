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
from sqlalchemy.exc import DBAPIError, DisconnectionError
from sqlalchemy.pool import NullPool

from nas.errors import StoreError
from nas.extras import missing
from nas.foreign import lines, storable
from trials.store.database.read_only import check_writable, connect, is_read_only
from trials.store.database.urls import parse_url, shown

MIGRATIONS = Path(__file__).parents[1] / "migrations"
#: Key of PostgreSQL's advisory lock around a migration.
MIGRATION_LOCK = 0x6E6173
#: NUL and surrogates as JSON escapes.
_SUSPECT = re.compile(r"\\u(?:0000|d[89a-f])")
_ENCODER = json.JSONEncoder(allow_nan=False)
#: Seconds that a writer waits for another one.
BUSY_S = 60
#: Seconds without use after which a connection to a server is tested before it is used again.
IDLE_S = 1.0
#: Parameters of connections to a server, unless its URL has others. A machine that vanished is noticed after
#: 30 + 3 * 10 seconds without an answer, and 60,000 ms after something was sent to it; the system's own limits are two
#: hours and a quarter of an hour.
SERVER = {
    "connect_timeout": 10,
    "keepalives_idle": 30,
    "keepalives_interval": 10,
    "keepalives_count": 3,
    "tcp_user_timeout": 60_000,
    "fallback_application_name": "measured-nas",
}


def open_engine(url: str) -> Engine:
    """An engine for a database whose tables are created or upgraded to this version of the program.

    Raises:
        StoreError: the kind of database is not supported, it can't be opened, or a newer program made its tables.
        MissingPackageError: its driver is not installed.
    """
    parsed = parse_url(url)
    file = Path(str(parsed.database)).absolute() if parsed.get_backend_name() == "sqlite" else None
    read_only = file is not None and is_read_only(file)
    options = {"poolclass": NullPool, "creator": partial(connect, file)} if file and read_only else _options(parsed)
    engine = _made(parsed, json_serializer=to_json, **options)
    if file is None:
        event.listen(engine, "checkin", _note_use)
        event.listen(engine, "checkout", _test_after_pause)
    else:
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
    """Check that a database for the tables of another program can be opened and written; write nothing.

    Raises:
        StoreError: it can't be opened or written.
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
    """An engine that is not connected yet."""
    try:
        return create_engine(parsed, **options)
    except ImportError as error:
        driver = parsed.get_driver_name()
        raise missing(driver, f"storage {shown(parsed)}", f"can't be imported ({error})") from None


def _unopened(parsed: URL, error: Exception) -> StoreError:
    """The error for a database that can't be opened, without the password, which messages of drivers may contain."""
    reason = str(getattr(error, "orig", None) or error).strip()
    if parsed.password:
        reason = reason.replace(str(parsed.password), "***")
    hint = "check that its folder exists and that the file is an SQLite database"
    if parsed.get_backend_name() == "postgresql":
        hint = "check that the server runs, that the database exists, and that the user may connect to it"
    return StoreError(f"can't open {shown(parsed)}: {lines(reason)}; {hint}")


def sqlite_path(engine: Engine) -> Path | None:
    """The file of an SQLite database; None for other databases."""
    name = engine.url.database
    return Path(os.path.realpath(name)) if engine.url.get_backend_name() == "sqlite" and name else None


def migrate(engine: Engine, scripts: Path = MIGRATIONS) -> None:
    """Create or upgrade the tables; if several processes try, one does it and the others wait.

    Raises:
        StoreError: the tables have a version that is not in ``scripts``.
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
        connection.invalidate()  # undoes `_prepare`


def to_json(value: Any) -> str:
    """JSON that every database accepts.

    NaN and infinity (as of a diverged loss) are written as null; NUL and halves of surrogate pairs are replaced.
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
    return {"connect_args": {key: value for key, value in SERVER.items() if key not in url.query}}


def _note_use(_connection: Any, record: Any) -> None:
    record.info["used"] = time.monotonic()


def _test_after_pause(connection: Any, record: Any, _proxy: Any) -> None:
    """Test a connection that was not used for a while; the pool replaces it if the server is gone or was restarted."""
    if time.monotonic() - record.info.get("used", math.inf) < IDLE_S:
        return
    try:
        connection.execute("SELECT 1")
        connection.rollback()
    except Exception as error:
        raise DisconnectionError("the server is gone or was restarted") from error


def _set_begin(connection: Any, _record: object) -> None:
    connection.isolation_level = None  # `_begin_sqlite` begins transactions, not the driver


def _configure_sqlite(connection: Any, record: object) -> None:
    _set_begin(connection, record)
    _set_wal(connection)
    for pragma in ("synchronous=NORMAL", "foreign_keys=ON"):
        connection.execute(f"PRAGMA {pragma}")


def _set_wal(connection: Any) -> None:
    """Set the journal mode, and wait while another process creates the file: here SQLite itself does not wait."""
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
    """Lock the database at the begin of a writing transaction: SQLite refuses to wait for the lock after a read."""
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
            f"{shown(engine.url)} has tables of version {found!r}, but this program knows versions up to {head!r}: "
            "a newer version of it or another program made them; upgrade this program, or use another database"
        )
    return found == head


def _prepare(connection: Connection) -> None:
    """Turn foreign keys off: a migration that rebuilds a table drops it, and SQLite would delete all dependent rows."""
    if connection.dialect.name == "sqlite":
        raw = connection.connection.driver_connection
        assert raw is not None
        raw.execute("PRAGMA foreign_keys=OFF")
