"""Reading sessions of a database, for queries that take a ``Source`` and return frozen data."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

from sqlalchemy import Engine, select
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from sqlalchemy.orm import Session

from nas.errors import StoreError, UnknownNameError
from nas.registry import nearest
from trials.store.database.urls import shown
from trials.store.models import Study


class HasEngine(Protocol):
    """The part of a store that reading needs."""

    @property
    def engine(self) -> Engine:
        """The engine of its database."""


#: A session, or the engine or store of a database, for which a session is opened.
Source = Engine | Session | HasEngine


@contextmanager
def reading(source: Source) -> Iterator[Session]:
    """A session to read in; if ``source`` is a session, it is used and stays open.

    Raises:
        StoreError: the database refuses the query, is damaged, can't be reached, or has no connection free.
    """
    if isinstance(source, Session):
        yield source
        return
    engine = source if isinstance(source, Engine) else source.engine
    try:
        with Session(engine) as session:
            yield session
    except DBAPIError as error:
        raise StoreError(f"can't read {shown(engine.url)}: {str(error.orig).strip()}") from error
    except PoolTimeoutError as error:
        raise StoreError(f"can't read {shown(engine.url)}: all connections of this process are in use") from error


def find_study(session: Session, name: str) -> Study:
    """The study called ``name``.

    Raises:
        UnknownNameError: it does not exist; the message suggests the most similar name.
    """
    study = session.scalar(select(Study).where(Study.name == name))
    if study is not None:
        return study
    known = list(session.scalars(select(Study.name).order_by(Study.created_at.desc()).limit(200)))
    then = "`nas list` shows all" if known else "this database has no studies yet"
    raise UnknownNameError(f"no study {name!r}{nearest(name, known, then)}")
