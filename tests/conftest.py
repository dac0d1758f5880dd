"""Databases for tests: a new SQLite file, and a new schema on a PostgreSQL server that this session starts."""

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
from typing import Any

import hypothesis
import psycopg
import pytest
from xdist.scheduler import LoadFileScheduling

_OWN = itertools.count()

# This runs before anything imports torch: the threads of two test processes that spin on the same cores slow each other
# down 10 times.
os.environ.setdefault("OMP_NUM_THREADS", "1")

# An example may take longer while other tests use the processor.
hypothesis.settings.register_profile("no deadline", deadline=None)
hypothesis.settings.load_profile("no deadline")


#: Tests in a browser share it and its servers. Chromium gives up what it loads while the networks of the machine
#: change, as they do in the chaos tests.
TOGETHER = ("tests/browser/", "tests/integration/test_chaos.py")


class Together(LoadFileScheduling):
    """Gives these tests to one process, the others file by file, or one by one with ``--dist loadgroup``."""

    def _split_scope(self, nodeid: str) -> str:
        if nodeid.startswith(TOGETHER):
            return "tests/browser"
        return nodeid if self.config.getvalue("dist") == "loadgroup" else super()._split_scope(nodeid)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Together | None:
    return Together(config, log) if config.getvalue("dist") in ("loadfile", "loadgroup") else None


@dataclass(frozen=True)
class PostgresServer:
    """A server that lives for one test session, or the reason why there is none."""

    port: int = 0
    missing: str = ""
    _numbers: Iterator[int] = field(default_factory=itertools.count)

    def new_schema(self, name: str | None = None) -> str:
        """URL of an empty schema. A schema isolates a test as well as its own database would, and is created much
        faster.
        """
        url = f"postgresql://postgres@127.0.0.1:{self.port}/postgres"
        name = name or f"test_{next(self._numbers)}"
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute(f"CREATE SCHEMA {name}")
        return f"{url}?options=-csearch_path%3D{name}"


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _account() -> str | None:
    """The account that PostgreSQL runs as, because it refuses to run as root; None for the current user."""
    if os.geteuid() != 0:
        return None
    names = {entry.pw_name for entry in pwd.getpwall()}
    return "postgres" if "postgres" in names else "nobody"


def _binaries() -> Path | None:
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: int(path.parts[4]))
    return found[-1].parent if found else None


class RestartableServer:
    """A server that can be stopped and started. Its data need not survive, so it does not sync; it dies with this
    process.
    """

    def __init__(self, binaries: Path, folder: Path, port: int) -> None:
        self.port = port
        self.url = f"postgresql://postgres@127.0.0.1:{port}/postgres"
        self._binaries, self._folder, self._account = binaries, folder, _account()
        self._process: subprocess.Popen[bytes] | None = None
        if self._account is not None:
            shutil.chown(folder, self._account)
        create = [str(binaries / "initdb"), "-D", str(folder / "data"), "-U", "postgres", "-A", "trust", "-E", "UTF8"]
        self._run([*create, "--no-sync"], stdout=subprocess.DEVNULL)

    def start(self) -> None:
        """Start the server unless it runs, and wait until it answers."""
        if self._process is not None:
            return
        program, data = self._binaries / "postgres", self._folder / "data"
        command = [str(program), "-D", str(data), "-p", str(self.port), "-k", str(self._folder)]
        # A time zone other than that of the tests: stored times must not depend on it.
        for setting in ("listen_addresses=127.0.0.1", "fsync=off", "timezone=Asia/Tokyo"):
            command += ["-c", setting]
        if tie := shutil.which("setpriv"):
            command = [tie, "--pdeathsig", "QUIT", *command]
        with (self._folder / "log").open("a") as log:
            self._process = subprocess.Popen(command, user=self._account, cwd=self._folder, stdout=log, stderr=log)
        _wait(self._process, self._folder / "log", self.port)

    def stop(self, how: signal.Signals = signal.SIGINT) -> None:
        """Stop the server and all its connections; ``SIGQUIT`` stops it as a crash would."""
        if self._process is not None:
            self._process.send_signal(how)
            self._process.wait(30)
            self._process = None

    def _run(self, command: list[str], **options: Any) -> None:
        subprocess.run(command, user=self._account, cwd=self._folder, check=True, **options)


@contextmanager
def _server(binaries: Path) -> Iterator[RestartableServer]:
    folder = Path(tempfile.mkdtemp(prefix="nas-postgres-", dir="/tmp"))
    try:
        server = RestartableServer(binaries, folder, _free_port())
        try:
            server.start()
            yield server
        finally:
            server.stop(signal.SIGQUIT)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


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
    with _server(binaries) as server:
        yield PostgresServer(server.port)


@pytest.fixture(scope="session")
def _own_server() -> Iterator[RestartableServer]:
    binaries = _binaries()
    if binaries is None:
        pytest.skip("no PostgreSQL under /usr/lib/postgresql: apt-get install postgresql")
    with _server(binaries) as server:
        yield server


@pytest.fixture
def own_server(_own_server: RestartableServer) -> RestartableServer:
    """A PostgreSQL server with an empty schema, which the test may stop."""
    _own_server.start()
    _own_server.url = PostgresServer(_own_server.port).new_schema(f"own_{next(_OWN)}")
    return _own_server


@pytest.fixture(params=["sqlite", "postgresql"])
def store_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """URL of an empty database; every test that takes it runs on both kinds."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'nas.db'}"
    server: PostgresServer = request.getfixturevalue("postgres")
    if server.missing:
        pytest.skip(server.missing)
    return server.new_schema()


@pytest.fixture(scope="session")
def calibrated() -> dict[str, Any]:
    """This machine as a target, its reference models timed once for all tests."""
    from nas.latency.process.client import MeasuringProcess
    from nas.latency.targets import TargetSpec

    with MeasuringProcess(TargetSpec("local")) as process:
        return process.calibrate().to_json()
