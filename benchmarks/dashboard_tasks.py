"""How many clicks and seconds a visitor of the dashboard needs for ten questions about a study.

Chromium answers each question from the page Studies. The study has to be a real one with two targets, because generated
studies have no measurements:

    nas search examples/digits.yaml --storage sqlite:///demo.db 'targets=[{name: local}, {name: other, threads: 2}]'
    python benchmarks/dashboard_tasks.py --storage sqlite:///demo.db --study digits --running other

Before that, it profiles the layers of the trial that "why is it fast" asks about, on this machine. ``--running`` names
a study that runs meanwhile, for "what is it waiting for"; without it, the ended study is asked.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from dashboard_parts.tasks import PATIENCE_MS, TASKS, WAITING, answered, first_trial
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
    parser.add_argument("--running", help="study that runs, for the task 'what is it waiting for'")
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
        _profile(arguments.storage, arguments.study, first_trial(context, address, arguments.study))
        for task in arguments.tasks:
            study = arguments.running if task == WAITING and arguments.running else arguments.study
            try:
                found = answered(context, address, task, study)
            except Error as error:
                print(FORMAT.format(task, "–", "–", f"no answer within {PATIENCE_MS // 1000} s: {error.message[:80]}"))
                continue
            print(FORMAT.format(task, found.clicks, f"{found.seconds:.1f}", found.answer[:100]), flush=True)
        browser.close()


def _profile(storage: str, study: str, trial: str) -> None:
    """Store the time of each layer of a trial."""
    command = [sys.executable, "-P", "-m", "measured_nas", "profile", study, trial, "--storage", storage]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)


if __name__ == "__main__":
    main()
