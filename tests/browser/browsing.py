"""What tests in a browser share: how a server starts, and how a page is read."""

from __future__ import annotations

import re
import shutil
import socket
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.error import HTTPError, URLError

import pytest

from dashboard.launch import command

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
ARGUMENTS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    # All tabs in one process, which keeps scripts compiled: a page then takes half as much processor time.
    "--renderer-process-limit=1",
    "--process-per-site",
]
#: For a link to a page below the root, streamlit requests its own status beside that page before it does so at the
#: root.
EXPECTED_404 = re.compile(r"/_stcore/(health|host-config)$")
PATIENCE_MS = 120_000
#: What the server that allows actions asks for.
PASSWORD = "long enough"


@contextmanager
def open_tab(context: Any) -> Iterator[Any]:
    """A tab. At its end, nothing may have gone wrong in it: script errors, failed requests, exception boxes."""
    page = context.new_page()
    page.set_default_timeout(PATIENCE_MS)
    problems: list[str] = []
    page.on("pageerror", lambda error: problems.append(str(error)))
    page.on("requestfailed", lambda request: problems.extend(lost(request)))
    page.on("response", lambda response: problems.extend(refused(response)))
    page.on("console", lambda note: problems.extend(complaint(note)))
    try:
        yield page
        boxes = page.locator("[data-testid=stException]").all_inner_texts()
    finally:
        page.close()
    assert problems == [], problems
    assert boxes == [], boxes


def complaint(note: Any) -> list[str]:
    """The text of an error on the console; failed requests are left out, because they are judged by their address."""
    return [note.text] if note.type == "error" and "status of 404" not in note.text else []


def lost(request: Any) -> list[str]:
    """Requests that failed, without those that the browser itself aborted when it left a page."""
    return [] if request.failure == "net::ERR_ABORTED" else [f"{request.failure}: {request.url}"]


def refused(response: Any) -> list[str]:
    wrong = response.status >= 400 and not EXPECTED_404.search(response.url)
    return [f"{response.status}: {response.url}"] if wrong else []


@contextmanager
def served(storage: str, folder: Path, **options: Any) -> Iterator[str]:
    """The address of a dashboard that runs until the block ends; ``options`` of ``dashboard.launch.command``."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    address = f"http://127.0.0.1:{port}"
    with (folder / "server.log").open("w") as log:
        server = subprocess.Popen(command(storage, port, **options), cwd=folder, stdout=log, stderr=subprocess.STDOUT)
    try:
        wait_for(f"{address}/_stcore/health", server)
        yield address
    finally:
        server.terminate()
        server.wait(timeout=60)


def wait_for(url: str, server: subprocess.Popen[bytes]) -> None:
    end = time.monotonic() + 60
    while time.monotonic() < end:
        if server.poll() is not None:
            pytest.fail(f"the dashboard ended with {server.returncode}")
        try:
            with urllib.request.urlopen(url, timeout=2):
                return
        except HTTPError:  # it answers, and asks for a password
            return
        except (URLError, OSError):
            time.sleep(0.2)
    pytest.fail("the dashboard did not start within a minute")


def cells(page: Any, place: int = -1) -> list[str]:
    """Texts of a table, row by row. Streamlit draws tables on a canvas and keeps their texts for screen readers."""
    table = page.locator("[data-testid=stDataFrame]").nth(place)
    table.locator("[role=gridcell]").first.wait_for(state="attached")
    return list(table.locator("[role=gridcell]").all_text_contents())


def wait_until(page: Any, question: Any, patience_s: float = PATIENCE_MS / 1000) -> None:
    end = time.monotonic() + patience_s
    while not question():
        assert time.monotonic() < end, "the page never showed what was asked for"
        page.wait_for_timeout(100)
