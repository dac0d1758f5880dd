"""How many clicks and seconds a visitor of the dashboard needs for ten questions about a study.

Chromium answers each question from the page Studies. The study has to be a real one with two targets, because generated
studies have no measurements:

    nas search examples/digits.yaml --storage sqlite:///demo.db 'targets=[{name: local}, {name: other, threads: 2}]'
    python benchmarks/dashboard_tasks.py --storage sqlite:///demo.db --study digits
"""

from __future__ import annotations

import argparse
import shutil
import tempfile
from pathlib import Path

from dashboard_parts.tasks import PATIENCE_MS, TASKS, answered
from dashboard_parts.visit import ARGUMENTS, free_port, served
from playwright.sync_api import Error, sync_playwright

from dashboard.launch import command

FORMAT = "{:<24} {:>6} {:>6}  {}"


def main() -> None:
    """Print one line per task."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--storage", required=True, help="URL of the database")
    parser.add_argument("--study", required=True)
    parser.add_argument("--tasks", nargs="+", choices=TASKS, default=list(TASKS))
    arguments = parser.parse_args()
    print(FORMAT.format("task", "clicks", "s", "answer"))
    port = free_port()
    with (
        tempfile.TemporaryDirectory() as folder,
        served(command(arguments.storage, port), port, "/_stcore/health", Path(folder)),
        sync_playwright() as driver,
    ):
        browser = driver.chromium.launch(executable_path=shutil.which("chromium"), args=ARGUMENTS)
        context = browser.new_context(viewport={"width": 1400, "height": 1000})
        address = f"http://127.0.0.1:{port}"
        answered(context, address, "is it done", arguments.study)  # the first visitor waits for imports
        for task in arguments.tasks:
            try:
                found = answered(context, address, task, arguments.study)
            except Error as error:
                print(FORMAT.format(task, "–", "–", f"no answer within {PATIENCE_MS // 1000} s: {error.message[:80]}"))
                continue
            print(FORMAT.format(task, found.clicks, f"{found.seconds:.1f}", found.answer[:100]), flush=True)
        browser.close()


if __name__ == "__main__":
    main()
