"""An agent in a process of its own, started from its bundle as on a device."""

from __future__ import annotations

import json
import secrets
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from nas.latency.agent.bundle import write_bundle


class Agent:
    """A running agent, or one that was killed and can be started again at the same address."""

    def __init__(self, folder: Path, *options: str, python: str = sys.executable) -> None:
        self.token_file = folder / "token"
        self.token = secrets.token_hex(16)
        self.token_file.write_text(self.token)
        self.token_file.chmod(0o600)
        self.bundle = folder / "agent.pyz"
        write_bundle(self.bundle)
        self._options, self.python, self._log = options, python, folder / "agent.log"
        self.port = 0
        self.start()

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def workers(self) -> list[int]:
        """Process ids of its measuring processes."""
        found: list[str] = []
        for thread in Path(f"/proc/{self.pid}/task").iterdir():
            with suppress(FileNotFoundError):  # it has just ended
                found += (thread / "children").read_text().split()
        return [int(pid) for pid in found]

    def start(self) -> None:
        # Python runs isolated, without PYTHONPATH and the current folder; the agent has only those parts of this
        # project that are in the bundle.
        command = [self.python, "-I", str(self.bundle), f"--port={self.port}", f"--token-file={self.token_file}"]
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                [*command, *self._options], cwd="/", stdout=subprocess.PIPE, stderr=log, text=True
            )
        assert self._process.stdout is not None
        said = self._process.stdout.readline()
        if not said.startswith("agent at "):
            self.kill()
            raise AssertionError(self._log.read_text())
        self.port = int(said.rpartition(":")[2])

    def kill(self) -> None:
        self._process.kill()
        self._process.wait()
        assert self._process.stdout is not None
        self._process.stdout.close()

    def wait(self) -> None:
        self._process.wait(20)

    def health(self) -> dict[str, Any]:
        with urllib.request.urlopen(f"{self.address}/health", timeout=10) as answer:
            return dict(json.load(answer))

    def wait_until(self, key: str, value: bool = True) -> None:
        deadline = time.monotonic() + 200
        while self.health()[key] is not value:
            assert time.monotonic() < deadline, f"never {key}: {value}"
            time.sleep(0.02)

    def say(self, *pieces: bytes, pause_s: float = 0.0, close: bool = False) -> tuple[int, bytes]:
        """Send bytes; returns status (0 without an answer) and body of the answer."""
        with socket.create_connection(("127.0.0.1", self.port), timeout=15) as connection:
            for piece in pieces:
                try:
                    connection.sendall(piece)
                except OSError:
                    break
                time.sleep(pause_s)
            if close:
                connection.shutdown(socket.SHUT_WR)
            return _answer(connection)

    def ask(self, method: str, path: str, *headers: str, body: bytes = b"", lease: str = "") -> bytes:
        """A well-formed request, with additional headers."""
        lines = [f"{method} {path} HTTP/1.1", f"Authorization: Bearer {self.token}", f"X-Lease: {lease}", *headers]
        if body and not any(line.startswith("Content-Length") for line in headers):
            lines.append(f"Content-Length: {len(body)}")
        return "\r\n".join([*lines, "", ""]).encode() + body

    def take_lease(self) -> str:
        status, body = self.say(self.ask("POST", "/lease", body=b"{}"))
        assert status == 200, body
        return str(json.loads(body)["lease"])

    def give_back(self, lease: str) -> None:
        self.say(self.ask("DELETE", "/lease", lease=lease))


@contextmanager
def running_agent(folder: Path, *options: str, python: str = sys.executable) -> Iterator[Agent]:
    agent = Agent(folder, *options, python=python)
    try:
        yield agent
    finally:
        agent.kill()


def _answer(connection: socket.socket) -> tuple[int, bytes]:
    received = b""
    try:
        while chunk := connection.recv(1 << 16):
            received += chunk
    except ConnectionResetError:
        pass
    head, _, body = received.partition(b"\r\n\r\n")
    words = head.split()
    return (int(words[1]) if len(words) > 1 else 0), body
