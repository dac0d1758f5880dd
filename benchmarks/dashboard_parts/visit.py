"""Visits of a page by a real browser: how long until it is useful and whole, and what it costs."""

from __future__ import annotations

import socket
import subprocess
import time
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

ARGUMENTS = ["--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking"]
#: A page is whole once nothing has arrived from the server for this long, seconds.
QUIET_S = 1.0
PATIENCE_S = 90.0


@dataclass(frozen=True)
class Visit:
    """What one visit took."""

    #: Seconds until the awaited element or answer was drawn, and until nothing more arrived.
    useful_s: float
    whole_s: float
    #: Bytes from the server over websockets, or over HTTP without scripts and styles.
    received: int
    dom_nodes: int
    #: Processor seconds of the server.
    server_s: float
    #: Resident memory of the server afterwards.
    server_bytes: int


@contextmanager
def served(command: Sequence[str], port: int, health: str, folder: Path) -> Iterator[psutil.Process]:
    """Run a server until the block ends; ``health`` is the path that answers once it is ready."""
    with (folder / f"server-{port}.log").open("w") as log:
        process = subprocess.Popen(command, cwd=folder, stdout=log, stderr=subprocess.STDOUT)
    try:
        _wait(f"http://127.0.0.1:{port}{health}", process)
        yield psutil.Process(process.pid)
    finally:
        process.terminate()
        process.wait(timeout=30)


def free_port() -> int:
    """A port that nothing listens on."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


def visit(context: Any, server: psutil.Process, url: str, awaited: str, act: Any = None) -> Visit:
    """Open a page and wait for the element ``awaited`` (a CSS selector).

    With ``act``, time ``act(page)`` afterwards in place of the opening; it returns once its answer is drawn.
    """
    page = context.new_page()
    page.set_default_timeout(1000 * PATIENCE_S)
    received, last = [0], [time.monotonic()]

    def arrived(size: int) -> None:
        received[0] += size
        last[0] = time.monotonic()

    def opened() -> None:
        page.goto(url, wait_until="commit")
        page.locator(awaited).first.wait_for(state="attached")

    page.on("websocket", lambda socket: socket.on("framereceived", lambda frame: arrived(len(frame))))
    page.on("response", lambda response: arrived(_size(response)))
    try:
        found = _timed(page, server, received, last, opened)
        return found if act is None else _timed(page, server, received, last, lambda: act(page))
    finally:
        page.close()


def _timed(
    page: Any, server: psutil.Process, received: list[int], last: list[float], work: Callable[[], None]
) -> Visit:
    before, received[0] = _processor_s(server), 0
    started = last[0] = time.monotonic()
    work()
    useful = time.monotonic() - started
    while time.monotonic() - last[0] < QUIET_S and time.monotonic() - started < PATIENCE_S:
        page.wait_for_timeout(50)
    nodes = page.evaluate("document.getElementsByTagName('*').length")
    return Visit(
        useful, max(last[0] - started, useful), received[0], nodes, _processor_s(server) - before, _memory(server)
    )


def _size(response: Any) -> int:
    """Bytes of an answer that is data; scripts, styles and fonts are the same for every page."""
    kind = response.headers.get("content-type", "")
    return int(response.headers.get("content-length") or 0) if "json" in kind else 0


def _processor_s(server: psutil.Process) -> float:
    return sum(sum(each.cpu_times()[:2]) for each in (server, *server.children(recursive=True)))


def _memory(server: psutil.Process) -> int:
    return sum(each.memory_info().rss for each in (server, *server.children(recursive=True)))


def _wait(url: str, process: subprocess.Popen[bytes]) -> None:
    end = time.monotonic() + PATIENCE_S
    while time.monotonic() < end and process.poll() is None:
        try:
            with urllib.request.urlopen(url, timeout=2):
                return
        except OSError:
            time.sleep(0.2)
    raise SystemExit(f"the server of {url} did not start")
