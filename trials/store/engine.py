"""Open a database by URL and bring its tables up to date."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path
from typing import Any

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from alembic.util import CommandError
from filelock import FileLock
from sqlalchemy import Connection, Engine, create_engine, event, text
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, NoSuchModuleError, OperationalError, SQLAlchemyError

from nas.errors import StoreError

ALLOWED = "sqlite:///nas.db or postgresql://user@host/name"
#: Key of PostgreSQL's advisory lock around a migration.
MIGRATION_LOCK = 0x6E6173


def open_engine(url: str) -> Engine:
    """An engine whose tables are of this program's version.

    Raises:
        StoreError: no such kind of database, no driver, no server, or a database of a newer program.
    """
    parsed = _parse(url)
    try:
        engine = create_engine(parsed, **_options(parsed))
    except ModuleNotFoundError as error:
        raise StoreError(f"{url!r} needs the driver {error.name!r}; pip install {error.name}") from error
    except NoSuchModuleError as error:
        raise StoreError(f"storage {url!r}: unknown kind of database; write {ALLOWED}") from error
    if parsed.get_backend_name() == "sqlite":
        event.listen(engine, "connect", _configure_sqlite)
        event.listen(engine, "begin", _begin_sqlite)
    try:
        _upgrade(engine, parsed)
    except OperationalError as error:
        engine.dispose()
        hidden = parsed.render_as_string(hide_password=True)
        raise StoreError(f"can't open {hidden}: {str(error.orig).strip()}; is the server up, the folder there?") from error
    return engine


def sqlite_path(engine: Engine) -> Path | None:
    """The file of an SQLite database."""
    name = engine.url.database
    return Path(name).resolve() if engine.url.get_backend_name() == "sqlite" and name else None


def _parse(url: str) -> URL:
    try:
        parsed = make_url(url)
    except ArgumentError:
        raise StoreError(f"storage {url!r} is no database URL; write {ALLOWED}") from None
    backend = parsed.get_backend_name()
    if backend == "postgresql" and parsed.drivername == "postgresql":
        return parsed.set(drivername="postgresql+psycopg")
    if backend == "sqlite" and parsed.database in (None, "", ":memory:"):
        raise StoreError(f"storage {url!r} would be gone with this process; write sqlite:///nas.db")
    if backend not in ("sqlite", "postgresql"):
        raise StoreError(f"storage {url!r}: {backend} is not supported; write {ALLOWED}")
    return parsed


def _options(url: URL) -> dict[str, Any]:
    if url.get_backend_name() == "sqlite":
        return {"connect_args": {"timeout": 60}}
    return {"pool_pre_ping": True, "connect_args": {"connect_timeout": 10}}


def _configure_sqlite(connection: Any, _record: object) -> None:
    connection.isolation_level = None  # transactions are begun below, not by the driver
    for pragma in ("journal_mode=WAL", "synchronous=NORMAL", "foreign_keys=ON", "busy_timeout=60000"):
        connection.execute(f"PRAGMA {pragma}")


def _begin_sqlite(connection: Connection) -> None:
    """A transaction that will write takes the lock first: one that reads before it writes can't wait for it later."""
    writes = connection.get_execution_options().get("writes", False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")


def _upgrade(engine: Engine, url: URL) -> None:
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    head = ScriptDirectory.from_config(config).get_current_head()
    with engine.connect() as connection:
        if MigrationContext.configure(connection).get_current_revision() == head:
            return
    with _migrating(url), engine.connect() as connection:
        if url.get_backend_name() == "postgresql":
            connection.execute(text(f"SELECT pg_advisory_lock({MIGRATION_LOCK})"))
        config.attributes["connection"] = connection
        try:
            command.upgrade(config, "head")
            connection.commit()
        except CommandError as error:
            raise StoreError(
                f"{url.render_as_string()} was written by a newer version of this program ({error}); upgrade this one"
            ) from error
        except SQLAlchemyError:
            connection.rollback()
            raise
        finally:
            if url.get_backend_name() == "postgresql":
                connection.execute(text(f"SELECT pg_advisory_unlock({MIGRATION_LOCK})"))
                connection.commit()


@contextmanager
def _migrating(url: URL) -> Iterator[None]:
    """One process of this machine at a time: SQLite has no lock that spans a migration."""
    if url.get_backend_name() != "sqlite":
        yield
        return
    name = sha256(os.path.abspath(str(url.database)).encode()).hexdigest()[:16]
    with FileLock(Path(tempfile.gettempdir()) / f"measured-nas-{name}.lock", timeout=60):
        yield
