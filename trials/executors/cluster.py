"""Reaching Ray: a cluster of this machine's own, or one by its address."""

from __future__ import annotations

import logging
import os
import shutil
import tempfile
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nas.errors import JobError
from trials.executors import Pool

#: Nothing large goes through Ray's object store: files travel through the artifact store.
OBJECT_STORE_BYTES = 200 * 1024**2

# Ray announces a change of its defaults at every start on a machine without GPUs.
os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")


@dataclass(frozen=True)
class Connection:
    """Ray, connected, and where workers find the user's own code."""

    ray: Any
    code: list[str]


def connect(pools: Sequence[Pool], code: Sequence[str], address: str | None) -> Connection:
    """Connect; the connection is ended by ``ray.shutdown()``.

    On a cluster the Python files of ``code`` travel to every worker's working folder.

    Raises:
        JobError: no cluster at ``address``, or one that wants a token; the message says what to set.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import ray

        settings: dict[str, Any] = {"logging_level": logging.ERROR, "log_to_driver": False}
        if address is None:
            settings |= {
                "num_cpus": max(1, round(sum(pool.size * pool.cpus for pool in pools))),
                "resources": {name: 1000 for pool in pools for name in pool.resources},
                "include_dashboard": False,
                "object_store_memory": OBJECT_STORE_BYTES,
                "address": "local",
            }
            paths = list(code)
            _init(ray, settings, address)
        else:
            with tempfile.TemporaryDirectory(prefix="nas-code-") as folder:
                paths = travelling(code, Path(folder))
                _init(ray, settings | {"address": address, "runtime_env": {"working_dir": folder}}, address)
    return Connection(ray, paths)


def _init(ray: Any, settings: dict[str, Any], address: str | None) -> None:
    try:
        ray.init(**settings)
    except Exception as error:  # Ray's own, its transport's and the system's errors share no base
        raise JobError(_explain(error, address)) from error


def travelling(code: Sequence[str], folder: Path) -> list[str]:
    """Copy the Python files of the user's folders under ``folder``; the copies' paths relative to it."""
    names = []
    for number, source in enumerate(code):
        name = f"code{number}"
        names.append(name)
        for file in Path(source).rglob("*.py"):
            inside = file.relative_to(source)
            if not any(part.startswith(".") for part in inside.parts):
                target = folder / name / inside
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(file, target)
    return names


def _explain(error: Exception, address: str | None) -> str:
    if address is None:
        return f"Ray does not start on this machine: {error}; executor: local needs no Ray"
    text = f"no Ray cluster answers at {address}: {type(error).__name__}: {error}"
    if "token" in str(error).lower():
        return (
            f"{text}\nthe cluster wants a token: set RAY_AUTH_MODE=token and RAY_AUTH_TOKEN_PATH to a copy of the "
            "head's token file (~/.ray/auth_token), here and on every node"
        )
    return f"{text}; is `ray start --head` up there, and are Ray's versions equal?"
