"""Databases for tests: a new SQLite file, and a new schema on a PostgreSQL server of the session's own."""

from __future__ import annotations

import itertools
import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import psycopg
import pytest


@dataclass(frozen=True)
class PostgresServer:
    """A server that lives for one session of tests, or why there is none."""

    port: int = 0
    missing: str = ""
    _numbers: Iterator[int] = field(default_factory=itertools.count)

    def new_schema(self) -> str:
        """URL of an empty schema: as good as a database of its own, and made in no time."""
        url = f"postgresql://postgres@127.0.0.1:{self.port}/postgres"
        name = f"test_{next(self._numbers)}"
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute(f"CREATE SCHEMA {name}")
        return f"{url}?options=-csearch_path%3D{name}"


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _account() -> str | None:
    """PostgreSQL refuses to run as root: whom to run it as instead, None for ourselves."""
    if os.geteuid() != 0:
        return None
    names = {entry.pw_name for entry in pwd.getpwall()}
    return "postgres" if "postgres" in names else "nobody"


def _binaries() -> Path | None:
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: int(path.parts[4]))
    return found[-1].parent if found else None


@contextmanager
def _serve(binaries: Path, folder: Path, port: int) -> Iterator[None]:
    """Run a server without durability (it is thrown away); it dies with this process, however that dies."""
    account, data = _account(), folder / "data"
    if account is not None:
        shutil.chown(folder, account)
    create = [str(binaries / "initdb"), "-D", str(data), "-U", "postgres", "-A", "trust", "-E", "UTF8"]
    subprocess.run([*create, "--no-sync"], user=account, cwd=folder, check=True, stdout=subprocess.DEVNULL)
    command = [str(binaries / "postgres"), "-D", str(data), "-p", str(port), "-k", str(folder)]
    # A zone that is not ours: times must not depend on it.
    for setting in ("listen_addresses=127.0.0.1", "fsync=off", "timezone=Asia/Tokyo"):
        command += ["-c", setting]
    if tie := shutil.which("setpriv"):
        command = [tie, "--pdeathsig", "QUIT", *command]
    with (folder / "log").open("w") as log:
        server = subprocess.Popen(command, user=account, cwd=folder, stdout=log, stderr=log)
    try:
        _wait(server, folder / "log", port)
        yield
    finally:
        server.send_signal(signal.SIGQUIT)
        server.wait(30)


def _wait(server: subprocess.Popen[bytes], log: Path, port: int) -> None:
    deadline = time.monotonic() + 60
    while True:
        try:
            psycopg.connect(f"postgresql://postgres@127.0.0.1:{port}/postgres", connect_timeout=5).close()
            return
        except psycopg.OperationalError as error:
            if server.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"PostgreSQL did not start: {log.read_text()}") from error
            time.sleep(0.1)


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgresServer]:
    """A PostgreSQL server of this session, on a free port of this machine."""
    binaries = _binaries()
    if binaries is None:
        yield PostgresServer(missing="no PostgreSQL under /usr/lib/postgresql: apt-get install postgresql")
        return
    folder, port = Path(tempfile.mkdtemp(prefix="nas-postgres-", dir="/tmp")), _free_port()
    try:
        with _serve(binaries, folder, port):
            yield PostgresServer(port)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(params=["sqlite", "postgresql"])
def store_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """URL of an empty database; every test that takes it runs on both kinds."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'nas.db'}"
    server: PostgresServer = request.getfixturevalue("postgres")
    if server.missing:
        pytest.skip(server.missing)
    return server.new_schema()
