"""The command line that starts the dashboard."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

#: Option of the script that Streamlit runs.
ALLOW_ACTIONS = "--allow-actions"
#: Options for Streamlit's command line.
SETTINGS: Sequence[str] = (
    "--server.headless=true",
    "--server.fileWatcherType=none",
    "--browser.gatherUsageStats=false",
    "--client.toolbarMode=minimal",
    # A traceback is for the log of the server, not for its visitors.
    "--client.showErrorDetails=none",
    # Each theme needs its own colour: a single --theme.primaryColor would switch the browser's dark mode off.
    "--theme.light.primaryColor=#2f80c2",
    "--theme.dark.primaryColor=#56b4e9",
    # Small enough to show a latency with its unit in full.
    "--theme.metricValueFontSize=1.6rem",
)


def command(
    storage_url: str, port: int, host: str = "127.0.0.1", *, allow_actions: bool = False, gated: bool = False
) -> list[str]:
    """Return the command line that serves the database at ``storage_url`` on ``http://host:port``.

    With the default ``host`` only this machine can connect. Other users of the machine can read the arguments of
    processes. If the URL contains a password, set ``NAS_STORAGE`` and pass an empty ``storage_url``. With
    ``allow_actions``, visitors may pause, stop, resume and extend studies, add candidates and remarks, and export. With
    ``gated``, visitors have to give the password in ``NAS_DASHBOARD_PASSWORD``; else they have to call the server
    ``localhost`` or by an IP address.
    """
    script = Path(__file__).parent / "start" / ("gated.py" if gated else "open.py")
    address = [f"--server.address={host}", f"--server.port={port}"]
    line = [sys.executable, "-P", "-m", "streamlit", "run", str(script), *address, *SETTINGS]
    options = ["--storage", storage_url] if storage_url else []
    if allow_actions:
        options.append(ALLOW_ACTIONS)
    return [*line, "--", *options] if options else line
