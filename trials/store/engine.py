"""Open a database by URL and bring its tables up to date."""

from __future__ import annotations

import json
import math
import time
from pathlib import Path
from typing import Any

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, Engine, create_engine, event, text
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError

from nas.errors import StoreError
from nas.registry import nearest

ALLOWED = "write sqlite:///nas.db or postgresql://user@host/name"
MIGRATIONS = Path(__file__).parent / "migrations"
#: URL scheme → SQLAlchemy's dialect and driver.
DRIVERS = {
    "sqlite": "sqlite+pysqlite",
    "sqlite+pysqlite": "sqlite+pysqlite",
    "postgresql": "postgresql+psycopg",
    "postgresql+psycopg": "postgresql+psycopg",
    "postgresql+psycopg2": "postgresql+psycopg2",
}
#: Key of PostgreSQL's advisory lock around a migration.
MIGRATION_LOCK = 0x6E6173
_ENCODER = json.JSONEncoder(allow_nan=False)
#: Seconds a writer waits for another one.
BUSY_S = 60


def open_engine(url: str) -> Engine:
    """An engine whose tables are of this program's version.

    Raises:
        StoreError: no such kind of database, no driver, no server, or a database of a newer program.
    """
    parsed = parse_url(url)
    try:
        engine = create_engine(parsed, json_serializer=to_json, **_options(parsed))
    except ImportError as error:
        package = error.name or parsed.get_driver_name()
        raise StoreError(
            f"storage {_shown(parsed)} needs the driver {package!r} ({error}); pip install {package}, or {ALLOWED}"
        ) from error
    if parsed.get_backend_name() == "sqlite":
        event.listen(engine, "connect", _configure_sqlite)
        event.listen(engine, "begin", _begin_sqlite)
    try:
        migrate(engine)
    except StoreError:
        engine.dispose()
        raise
    except DBAPIError as error:
        engine.dispose()
        hint = "is its folder there, and is it a database?"
        if parsed.get_backend_name() == "postgresql":
            hint = "is the server up, the database created, the user allowed?"
        raise StoreError(f"can't open {_shown(parsed)}: {str(error.orig).strip()}; {hint}") from error
    return engine


def parse_url(url: str) -> URL:
    """A URL of a supported database, its driver named.

    Raises:
        StoreError: it is something else.
    """
    try:
        parsed = make_url(url)
    except ArgumentError:
        path = "" if "://" in url else f"; a file is written sqlite:///{url}"
        raise StoreError(f"storage {url!r} is no database URL{path}; {ALLOWED}") from None
    if parsed.drivername not in DRIVERS:
        near = nearest(parsed.drivername, DRIVERS)
        raise StoreError(f"storage {_shown(parsed)}: {parsed.drivername!r} is not supported{near}; {ALLOWED}")
    if parsed.get_backend_name() == "sqlite" and parsed.database in (None, "", ":memory:"):
        raise StoreError(f"storage {url!r} would be gone with this process; write sqlite:///nas.db")
    return parsed.set(drivername=DRIVERS[parsed.drivername])


def sqlite_path(engine: Engine) -> Path | None:
    """The file of an SQLite database."""
    name = engine.url.database
    return Path(name).resolve() if engine.url.get_backend_name() == "sqlite" and name else None


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
    """JSON as every database takes it: a number that is none (a diverged loss) is written as null."""
    try:
        return _ENCODER.encode(value)
    except ValueError:
        return to_json(_finite(value))


def _finite(value: Any) -> Any:
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_finite(item) for item in value]
    return value


def _shown(url: URL) -> str:
    return repr(url.render_as_string(hide_password=True))


def _options(url: URL) -> dict[str, Any]:
    if url.get_backend_name() == "sqlite":
        return {"connect_args": {"timeout": BUSY_S}}
    return {"pool_pre_ping": True, "connect_args": {"connect_timeout": 10}}


def _configure_sqlite(connection: Any, _record: object) -> None:
    connection.isolation_level = None  # transactions are begun below, not by the driver
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
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")


def _is_current(engine: Engine, known: ScriptDirectory) -> bool:
    with engine.connect() as connection:
        found = MigrationContext.configure(connection).get_current_revision()
    head = known.get_current_head()
    revisions = {script.revision for script in known.walk_revisions()}
    if found is not None and found not in revisions:
        raise StoreError(
            f"{_shown(engine.url)} has tables of version {found!r}, this program knows up to {head!r}: "
            "a newer version of it made them, or another program; upgrade this one, or use another database"
        )
    return found == head


def _prepare(connection: Connection) -> None:
    """Rebuilding a table drops it, and SQLite would cascade that to all rows that point to it."""
    if connection.dialect.name == "sqlite":
        raw = connection.connection.driver_connection
        assert raw is not None
        raw.execute("PRAGMA foreign_keys=OFF")
