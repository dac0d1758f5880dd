"""Where a study ran: versions, machine, revision; and who coordinates it."""

from __future__ import annotations

import os
import platform
import socket
import subprocess
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

PACKAGES = (
    "measured-nas",
    "torch",
    "torchvision",
    "timm",
    "onnx",
    "onnxruntime",
    "openvino",
    "optuna",
    "ray",
    "sqlalchemy",
    "numpy",
)


def describe_environment() -> dict[str, Any]:
    """JSON values stored with every study."""
    return {
        "python": platform.python_version(),
        "platform": platform.platform(),
        "host": socket.gethostname(),
        "cores": len(os.sched_getaffinity(0)),
        "packages": {name: found for name in PACKAGES if (found := _version(name))},
        "revision": _revision(),
    }


def owner() -> str:
    """``host:pid:start``: tells this process from any other, also one that got its pid later."""
    start = Path("/proc/self/stat").read_text().rsplit(")", 1)[1].split()[19]
    return f"{socket.gethostname()}:{os.getpid()}:{start}"


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _revision() -> str | None:
    """Git revision of the working folder, with ``+`` where files differ from it."""
    try:
        found = subprocess.run(
            ["git", "describe", "--always", "--dirty=+", "--abbrev=12"],
            capture_output=True,
            text=True,
            timeout=5,
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return found.stdout.strip() or None if found.returncode == 0 else None
