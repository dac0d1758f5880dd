"""Wait for a database server before its database is opened."""

from __future__ import annotations

import logging
import time

from nas.extras import is_installed
from trials.store.database.engine import SERVER
from trials.store.database.urls import parse_url, shown

log = logging.getLogger(__name__)

_PAUSE_S = 1.0


def wait_for_server(url: str, patience_s: float) -> None:
    """Return once the server of a PostgreSQL database accepts connections, or after ``patience_s``.

    A server that refuses the user, or lacks the database, accepts connections: waiting would not help.

    Raises:
        StoreError: the URL is not valid.
    """
    parsed = parse_url(url)
    if parsed.get_backend_name() != "postgresql" or not is_installed("psycopg"):
        return
    import psycopg
    from psycopg.pq import PGconn, Ping

    _, wanted = parsed.get_dialect()().create_connect_args(parsed)
    try:
        address = psycopg.conninfo.make_conninfo("", **{"connect_timeout": SERVER["connect_timeout"], **wanted})
    except psycopg.Error:
        return  # opening the database reports what is wrong
    deadline, told = time.monotonic() + patience_s, False
    while PGconn.ping(address.encode()) in (Ping.REJECT, Ping.NO_RESPONSE) and time.monotonic() < deadline:
        if not told:
            log.warning("%s does not answer; trying again for %.0f minutes", shown(parsed), patience_s / 60)
            told = True
        time.sleep(_PAUSE_S)
