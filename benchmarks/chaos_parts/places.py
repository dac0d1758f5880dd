"""The place where a study of the kill test runs: its own folder, database and processes."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml
from sqlalchemy import create_engine, text

from chaos_parts.processes import below, of_folder

NAS = str(Path(sys.executable).with_name("nas"))


class Postgres:
    """A temporary PostgreSQL server, which is removed with its folder."""

    def __init__(self, folder: Path, host: str = "127.0.0.1") -> None:
        self._folder = folder / "postgres"
        self._folder.mkdir()
        self._user = "postgres" if os.geteuid() == 0 else None
        if self._user:
            shutil.chown(self._folder, self._user)
            for above in (folder, *folder.parents[:1]):
                above.chmod(0o755)
        with socket.socket() as probe:
            probe.bind((host, 0))
            port = probe.getsockname()[1]
        self.url = f"postgresql://postgres@{host}:{port}/postgres"
        data = str(self._folder / "data")
        self._options = ["-D", data, "-w", "-o", f"-p {port} -k {self._folder} -h {host}", "-l", f"{data}.log"]
        self._call("initdb", "-D", data, "-U", "postgres", "-A", "trust", "-E", "UTF8", "--no-sync")
        with (self._folder / "data" / "pg_hba.conf").open("a") as allowed:
            allowed.write("host all all samenet trust\n")
        self.start()

    def start(self) -> None:
        """Start the server, and wait until it answers."""
        self._call("pg_ctl", *self._options, "start")

    def new_database(self, name: str) -> str:
        """Create a database, and return its URL."""
        with create_engine(_driven(self.url), isolation_level="AUTOCOMMIT").connect() as connection:
            connection.execute(text(f"CREATE DATABASE {name}"))
        return self.url.rpartition("/")[0] + f"/{name}"

    def stop(self) -> None:
        """Stop the server at once, without a checkpoint."""
        self._call("pg_ctl", *self._options[:2], "-m", "immediate", "stop")

    def _call(self, program: str, *arguments: str) -> None:
        path = sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{program}"))[-1]
        quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        subprocess.run([str(path), *arguments], check=True, user=self._user, cwd="/", **quiet)  # type: ignore[call-overload]


def _driven(url: str) -> str:
    return url.replace("postgresql://", "postgresql+psycopg://")


@dataclass
class Place:
    """One study: its folder, database and processes."""

    folder: Path
    executor: str
    server: Postgres | None = None
    trials: int = 4
    epochs: int = 2
    disk_bytes: int = 8 << 20
    target: str = "local"
    #: Process id of the coordinator.
    coordinator: int = 0
    #: The agent of the target, if it has one, and the command that starts it.
    agent: subprocess.Popen[bytes] | None = None
    agent_command: tuple[str, ...] = ()
    #: Commands and their exit codes, in order.
    ended: list[tuple[str, int | None]] = field(default_factory=list)
    #: Repairs that a fault brings with it.
    repairs: list[threading.Timer] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.temporary.mkdir(exist_ok=True)
        self.url = self.server.url if self.server else f"sqlite:///{self.folder}/nas.db"
        self.engine = create_engine(_driven(self.url), pool_pre_ping=True)

    @property
    def host(self) -> str:
        """Address of this machine at which the study's workers reach it."""
        return "127.0.0.1"

    @property
    def environment(self) -> dict[str, str]:
        """Environment variables of the study's commands."""
        return {**os.environ, "TMPDIR": str(self.temporary)}

    @property
    def temporary(self) -> Path:
        """Temporary folder of all processes of the study."""
        return self.folder / "tmp"

    @property
    def artifacts(self) -> Path:
        """Root of the study's files."""
        return self.folder / "artifacts"

    @property
    def coordinators(self) -> list[int]:
        """Ids of the processes that run the study."""
        return [self.coordinator]

    @property
    def left(self) -> list[int]:
        """Ids of processes that an ended study must not leave behind."""
        return of_folder(self.temporary)

    def found(self, *words: str) -> list[int]:
        """Ids of the study's processes whose command line contains one of the words."""
        return below(self.coordinator, *words)

    def victims(self, found: Sequence[int]) -> Sequence[int]:
        """Return those of the processes that a fault kills: all."""
        return found

    def later(self, pause_s: float, repair: Callable[[], object]) -> None:
        """Repair something after a pause."""
        self.repairs.append(threading.Timer(pause_s, repair))
        self.repairs[-1].start()

    def write_plan(self, **keys: Any) -> None:
        """Write the plan; keywords replace top-level keys."""
        plan = {
            "name": "chaos",
            "task": {"name": "digits", "image_size": 8},
            "space": {"name": "plain_convnet"},
            "strategy": {"name": "random"},
            "estimator": {"name": "training", "epochs": self.epochs},
            "executor": self.executor,
            "concurrency": 1,
            "measure": {"precision": 0.2, "canary_every": 0, "audit": 0},
            "artifacts": {"root": str(self.artifacts), "retention": "all"},
            "budget": {"trials": self.trials},
            **keys,
        }
        (self.folder / "plan.yaml").write_text(yaml.safe_dump(plan))

    def start(self, *command: str) -> subprocess.Popen[bytes]:
        """Start a command of ``nas`` on the study's database."""
        with (self.folder / "log").open("ab") as log:
            return subprocess.Popen(
                [NAS, *command, "--storage", self.url], env=self.environment, stdout=log, stderr=log, cwd=self.folder
            )

    def finish(self, process: subprocess.Popen[bytes], what: str, limit_s: float) -> int | None:
        """Wait until a command ends; return its exit code, or None if it had to be killed."""
        try:
            code: int | None = process.wait(limit_s)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            code = None
        self.ended.append((what, code))
        return code

    def rows(self, query: str) -> list[Any]:
        """Return the rows of a query, or no rows if the tables do not exist yet or the database does not answer."""
        try:
            with self.engine.connect() as connection:
                return list(connection.execute(text(query)))
        except Exception:
            return []

    def number(self, query: str) -> int:
        """Return the number that a query counts; raise an error if the database does not answer."""
        with self.engine.connect() as connection:
            return int(connection.execute(text(query)).scalar_one())

    def end_agent(self) -> None:
        """End the agent, if there is one, as a user does."""
        if self.agent is not None:
            self.agent.terminate()
            self.agent.wait(60)

    def wait_for(self, kind: str, process: subprocess.Popen[bytes], limit_s: float) -> bool:
        """Wait until a job of this kind runs and another job is done; return whether this happened in time."""
        return wait(lambda: bool(self._hit(kind)) or process.poll() is not None, limit_s) and bool(self._hit(kind))

    def _hit(self, kind: str) -> list[Any]:
        return self.rows(
            f"SELECT 1 FROM jobs WHERE state = 'running' AND kind = '{kind}' "
            "AND EXISTS (SELECT 1 FROM jobs WHERE state = 'done')"
        )


def wait(condition: Callable[[], bool], limit_s: float) -> bool:
    """Wait until a condition is true; return whether it became true in time."""
    deadline = time.monotonic() + limit_s
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True
