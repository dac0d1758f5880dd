"""The environment of a study: versions, machine, revision; and the name of its coordinator's process."""

from __future__ import annotations

import os
import platform
import socket
import subprocess
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from nas.processor import describe_processor

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
    """Return the environment as JSON values, which are stored with every study."""
    return {
        "python": platform.python_version(),
        "platform": platform.platform(),
        "host": socket.gethostname(),
        "processor": describe_processor()["processor"],
        "cores": len(os.sched_getaffinity(0)),
        "packages": {name: found for name in PACKAGES if (found := _version(name))},
        "revision": _revision(),
    }


def owner(pid: int | None = None) -> str:
    """Return ``host:pid:start`` of a process, by default this one; it stays unique if the pid is reused later."""
    pid = os.getpid() if pid is None else pid
    start = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[19]
    return f"{socket.gethostname()}:{pid}:{start}"


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _revision() -> str | None:
    """Return the git revision of the working folder, with ``+`` if files have uncommitted changes."""
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
