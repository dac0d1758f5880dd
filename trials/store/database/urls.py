"""URLs of databases: which ones are supported, and how they are shown without their password."""

from __future__ import annotations

import re

from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError

from nas.errors import StoreError
from nas.foreign import hide_passwords
from nas.registry import nearest

ALLOWED = "write sqlite:///nas.db or postgresql://user@host/name"
ENCODE = "percent-encode each of @ : / ? # % in a user name or password: write @ as %40"
#: URL scheme → SQLAlchemy's dialect and driver.
DRIVERS = {
    "sqlite": "sqlite+pysqlite",
    "sqlite+pysqlite": "sqlite+pysqlite",
    "postgresql": "postgresql+psycopg",
    "postgresql+psycopg": "postgresql+psycopg",
    "postgresql+psycopg2": "postgresql+psycopg2",
}
_UNWRITABLE = re.compile("[\x00-\x1f\x7f\ud800-\udfff]")


def parse_url(url: str) -> URL:
    """Parse the URL of a supported database, and add the name of its driver.

    Raises:
        StoreError: the URL is not valid or not supported; the message does not contain the password.
    """
    if _UNWRITABLE.search(url):
        raise StoreError(f"storage {shown(url)} contains control characters or is not UTF-8; {ALLOWED}")
    try:
        parsed = make_url(url)
    except ArgumentError:
        path = "" if ":" in url or not url else f"; for a file write sqlite:///{url}"
        raise StoreError(f"storage {shown(url)} is not a database URL{path}; {ALLOWED}") from None
    except ValueError:
        raise StoreError(f"storage {shown(url)}: its port is not a number; {ENCODE}") from None
    if parsed.drivername not in DRIVERS:
        hint = nearest(parsed.drivername, DRIVERS, ALLOWED)
        raise StoreError(f"storage {shown(url)}: {parsed.drivername!r} is not supported{hint}")
    (_check_sqlite if parsed.get_backend_name() == "sqlite" else _check_server)(parsed, url)
    return parsed.set(drivername=DRIVERS[parsed.drivername])


def shown(url: str | URL) -> str:
    """A URL in quotes, without its password and driver; only its scheme if the password can't be located."""
    if isinstance(url, URL):
        plain = url.set(drivername=url.get_backend_name())
        return repr(hide_passwords(plain.render_as_string(hide_password=True)))
    scheme, separator, rest = url.partition("://")
    if "@" in rest or "@" in scheme:
        return f"'{scheme}://…'" if separator else "'…'"
    return ascii(hide_passwords(url))


def _check_sqlite(parsed: URL, url: str) -> None:
    if parsed.host:
        raise StoreError(
            f"storage {shown(url)}: write a file with three slashes, sqlite:///nas.db, or four for an absolute path"
        )
    if "?" in url:
        raise StoreError(f"storage {shown(url)}: an SQLite URL can't contain ?, neither for options nor in a file name")
    if parsed.database in (None, "", ":memory:"):
        raise StoreError(f"storage {shown(url)} would be in memory, lost with this process; write sqlite:///nas.db")


def _check_server(parsed: URL, url: str) -> None:
    """Refuse a URL with an @ that is not encoded, because a part of the password would be taken for a host."""
    if url.count("@") > 1 or ("@" in url and parsed.username is None):
        raise StoreError(f"storage {shown(url)} contains an @ too many; {ENCODE}")
    if parsed.port is not None and not 0 < parsed.port < 65536:
        raise StoreError(f"storage {shown(parsed)}: port {parsed.port} is not between 1 and 65535")
