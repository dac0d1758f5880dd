"""Differences between SQLite and PostgreSQL: the clock, durations, and inserts of rows that may exist already."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Double, Table, literal
from sqlalchemy.dialects.postgresql import insert as postgresql_insert
from sqlalchemy.dialects.sqlite import insert as sqlite_insert
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.elements import ColumnElement
from sqlalchemy.sql.functions import FunctionElement

from nas.foreign import storable
from trials.store.models import Base, Utc


class Clock(FunctionElement[datetime]):
    """The database's time plus ``seconds``, which is the same for machines with different clocks."""

    type = Utc()
    name = "clock"
    inherit_cache = True

    def __init__(self, seconds: ColumnElement[float] | float = 0.0) -> None:
        super().__init__(seconds if isinstance(seconds, ColumnElement) else literal(seconds))


@compiles(Clock, "sqlite")
def _sqlite(element: Clock, compiler: Any, **options: Any) -> str:
    # The format in which SQLAlchemy stores times in SQLite, so that they compare correctly as text.
    seconds = compiler.process(element.clauses, **options)
    return f"(strftime('%Y-%m-%d %H:%M:%f', 'now', {seconds} || ' seconds') || '000')"


@compiles(Clock, "postgresql")
def _postgresql(element: Clock, compiler: Any, **options: Any) -> str:
    seconds = compiler.process(element.clauses, **options)
    return f"(clock_timestamp() + make_interval(secs => CAST({seconds} AS double precision)))"


class SecondsBetween(FunctionElement[float]):
    """Seconds from one stored time to another."""

    type = Double()
    name = "seconds_between"
    inherit_cache = True


@compiles(SecondsBetween, "sqlite")
def _sqlite_seconds(element: SecondsBetween, compiler: Any, **options: Any) -> str:
    begin, end = (compiler.process(clause, **options) for clause in element.clauses)
    return f"86400.0 * (julianday({end}) - julianday({begin}))"


@compiles(SecondsBetween, "postgresql")
def _postgresql_seconds(element: SecondsBetween, compiler: Any, **options: Any) -> str:
    begin, end = (compiler.process(clause, **options) for clause in element.clauses)
    return f"CAST(EXTRACT(EPOCH FROM {end} - {begin}) AS double precision)"


def table(model: type[Base]) -> Table:
    """The table of a model, for statements without ORM objects."""
    found = model.__table__
    assert isinstance(found, Table)
    return found


class Insert:
    """An insert for both databases. If a row has equal ``conflict`` columns, that row is changed instead.

    Its ``replace`` columns get the new values, and its ``add`` columns increase by them. ``values`` are columns that
    the database computes; ``returning`` are columns of the new or changed row.
    """

    def __init__(
        self,
        into: Table,
        conflict: tuple[str, ...],
        *,
        replace: tuple[str, ...] = (),
        add: tuple[str, ...] = (),
        values: Mapping[str, Any] | None = None,
        returning: tuple[str, ...] = (),
    ) -> None:
        self._statements: dict[str, Any] = {}
        for dialect, build in (("sqlite", sqlite_insert), ("postgresql", postgresql_insert)):
            statement: Any = build(into).values(**values or {})
            if replace or add:
                new = {name: statement.excluded[name] for name in replace}
                new |= {name: into.c[name] + statement.excluded[name] for name in add}
                statement = statement.on_conflict_do_update(index_elements=list(conflict), set_=new)
            else:
                statement = statement.on_conflict_do_nothing(index_elements=list(conflict))
            self._statements[dialect] = statement.returning(*(into.c[name] for name in returning))

    def run(self, connection: Connection, rows: Any) -> Any:
        """Insert one row (a mapping) or several (a list of them)."""
        return connection.execute(self._statements[connection.dialect.name], rows)


def text_of(value: str | None) -> str | None:
    """Text that every database accepts: NUL and halves of surrogate pairs (from outputs of workers) are replaced."""
    return storable(value) if value else value
