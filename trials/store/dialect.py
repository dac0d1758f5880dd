"""Differences between SQLite and PostgreSQL: the database's clock, and inserts that meet an equal row."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Table, literal
from sqlalchemy.dialects.postgresql import insert as postgresql_insert
from sqlalchemy.dialects.sqlite import insert as sqlite_insert
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.elements import ColumnElement
from sqlalchemy.sql.functions import FunctionElement

from nas.foreign import storable
from trials.store.models import Base, Utc


class Clock(FunctionElement[datetime]):
    """The database's time, ``seconds`` from now: machines with different clocks agree on it."""

    type = Utc()
    name = "clock"
    inherit_cache = True

    def __init__(self, seconds: ColumnElement[float] | float = 0.0) -> None:
        super().__init__(seconds if isinstance(seconds, ColumnElement) else literal(seconds))


@compiles(Clock, "sqlite")
def _sqlite(element: Clock, compiler: Any, **options: Any) -> str:
    # Written as SQLAlchemy writes times into SQLite, so that they compare as text.
    seconds = compiler.process(element.clauses, **options)
    return f"(strftime('%Y-%m-%d %H:%M:%f', 'now', {seconds} || ' seconds') || '000')"


@compiles(Clock, "postgresql")
def _postgresql(element: Clock, compiler: Any, **options: Any) -> str:
    seconds = compiler.process(element.clauses, **options)
    return f"(clock_timestamp() + make_interval(secs => CAST({seconds} AS double precision)))"


def table(model: type[Base]) -> Table:
    """A model's table, for statements that need no objects."""
    found = model.__table__
    assert isinstance(found, Table)
    return found


class Insert:
    """An insert in the words of both; a row equal in ``conflict`` stays, but for the columns ``replace``."""

    def __init__(
        self,
        into: Table,
        conflict: tuple[str, ...],
        *,
        replace: tuple[str, ...] = (),
        returning: str | None = None,
    ) -> None:
        self._statements: dict[str, Any] = {}
        for dialect, build in (("sqlite", sqlite_insert), ("postgresql", postgresql_insert)):
            statement: Any = build(into)
            if replace:
                new = {name: statement.excluded[name] for name in replace}
                statement = statement.on_conflict_do_update(index_elements=list(conflict), set_=new)
            else:
                statement = statement.on_conflict_do_nothing(index_elements=list(conflict))
            self._statements[dialect] = statement.returning(into.c[returning]) if returning else statement

    def run(self, connection: Connection, rows: Any) -> Any:
        """Insert one row (a mapping) or several (a list of them)."""
        return connection.execute(self._statements[connection.dialect.name], rows)


def text_of(value: str | None) -> str | None:
    """Text as every database takes it: NUL and halves of surrogate pairs (of a worker's output) are replaced."""
    return storable(value) if value else value
