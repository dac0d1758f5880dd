"""The place where a study of the kill test runs: its own folder and database."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml
from sqlalchemy import create_engine, text

TRIALS, EPOCHS = 4, 2
NAS = str(Path(sys.executable).with_name("nas"))


class Postgres:
    """A temporary PostgreSQL server, which is removed with its folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder / "postgres"
        self._folder.mkdir()
        self._user = "postgres" if os.geteuid() == 0 else None
        if self._user:
            shutil.chown(self._folder, self._user)
            for above in (folder, *folder.parents[:1]):
                above.chmod(0o755)
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        self.url = f"postgresql://postgres@127.0.0.1:{port}/postgres"
        data = str(self._folder / "data")
        self._options = ["-D", data, "-w", "-o", f"-p {port} -k {self._folder} -h 127.0.0.1", "-l", f"{data}.log"]
        self._call("initdb", "-D", data, "-U", "postgres", "-A", "trust", "-E", "UTF8", "--no-sync")
        self._call("pg_ctl", *self._options, "start")

    def restart(self, pause_s: float) -> None:
        """Stop the server with all connections, wait ``pause_s`` seconds, and start it again."""
        self.stop()
        time.sleep(pause_s)
        self._call("pg_ctl", *self._options, "start")

    def stop(self) -> None:
        """Stop the server at once, without a checkpoint."""
        self._call("pg_ctl", *self._options[:2], "-m", "immediate", "stop")

    def _call(self, program: str, *arguments: str) -> None:
        path = sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{program}"))[-1]
        quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        subprocess.run([str(path), *arguments], check=True, user=self._user, cwd="/", **quiet)  # type: ignore[call-overload]


@dataclass
class Place:
    """One study: its folder, database and processes."""

    folder: Path
    executor: str
    server: Postgres | None = None
    target: str = "local"
    #: The agent of the target, if it has one, and the command that starts it.
    agent: subprocess.Popen[bytes] | None = None
    agent_command: tuple[str, ...] = ()
    #: Commands and their exit codes, in order.
    ended: list[tuple[str, int | None]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.temporary.mkdir()
        self.url = self.server.url if self.server else f"sqlite:///{self.folder}/nas.db"
        self.engine = create_engine(self.url.replace("postgresql://", "postgresql+psycopg://"), pool_pre_ping=True)

    @property
    def temporary(self) -> Path:
        """Temporary folder of all processes of the study."""
        return self.folder / "tmp"

    @property
    def artifacts(self) -> Path:
        """Root of the study's files."""
        return self.folder / "artifacts"

    def write_plan(self, **keys: Any) -> None:
        """Write the plan; keywords replace top-level keys."""
        plan = {
            "name": "chaos",
            "task": {"name": "digits", "image_size": 8},
            "space": {"name": "plain_convnet"},
            "strategy": {"name": "random"},
            "estimator": {"name": "training", "epochs": EPOCHS},
            "executor": self.executor,
            "concurrency": 1,
            "measure": {"precision": 0.2, "canary_every": 0, "audit": 0},
            "artifacts": {"root": str(self.artifacts), "retention": "all"},
            "budget": {"trials": TRIALS},
            **keys,
        }
        (self.folder / "plan.yaml").write_text(yaml.safe_dump(plan))

    def start(self, *command: str) -> subprocess.Popen[bytes]:
        """Start a command of ``nas`` on the study's database."""
        environment = {**os.environ, "TMPDIR": str(self.temporary)}
        with (self.folder / "log").open("ab") as log:
            return subprocess.Popen(
                [NAS, *command, "--storage", self.url], env=environment, stdout=log, stderr=log, cwd=self.folder
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
