"""A real small study: a random search over small networks for digits, one epoch each."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

PLAN = Path(__file__).parents[2] / "examples" / "digits.yaml"
SMALL = (
    "executor=local",
    "strategy.name=random",
    "estimator.epochs=1",
    "confidence.remeasure=0",
    "limits.latency_ms.max.factor=3",
)


def search(storage: str, folder: Path, trials: int) -> subprocess.Popen[str]:
    """Start a search for the study ``digits``; what it prints goes to ``search.log``."""
    changes = [*SMALL, f"budget.trials={trials}"]
    return nas("search", str(PLAN), *changes, "--storage", storage, cwd=folder, log=folder / "search.log")


def nas(*arguments: str, cwd: Path, log: Path) -> subprocess.Popen[Any]:
    with log.open("w") as output:
        return subprocess.Popen(
            [sys.executable, "-P", "-m", "measured_nas", *arguments], cwd=cwd, stdout=output, stderr=subprocess.STDOUT
        )
