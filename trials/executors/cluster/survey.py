"""Look at all nodes of a cluster before anything is spent: resources, paths, and the shared folder."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any

from nas.errors import PlanError
from trials.executors import Pool
from trials.executors.cluster.places import lacking

#: Seconds to wait for all nodes to look; a new worker has to start on each.
LOOK_S = 60.0


def survey(ray: Any, pools: Sequence[Pool], paths: Mapping[str, str], shared: str | None) -> list[str]:
    """Return one message for each pool without a suitable node and each path that a node can't see; see ``Executor``.

    Raises:
        PlanError: this process itself can't write to ``shared``.
    """
    found = [message for pool in pools if (message := lacking(ray, pool))]
    return found + _unseen(ray, paths, shared)


def _unseen(ray: Any, paths: Mapping[str, str], shared: str | None) -> list[str]:
    if not paths and shared is None:
        return []
    mark = None if shared is None else _mark(shared)
    try:
        wanted = [*paths.values(), *([mark] if mark else [])]
        missing = _missing(ray, wanted)
    finally:
        if mark is not None:
            with suppress(OSError):
                os.remove(mark)
    found = [
        f"{key}: {path} does not exist on {_listed(missing[path])}; copy it to the same path on every node, or give a "
        "path on a disk that all nodes share"
        for key, path in paths.items()
        if missing[path]
    ]
    if mark is not None and missing[mark]:
        found.append(
            f"artifacts.root: {shared} is not the same folder on {_listed(missing[mark])} as on the machine of the "
            "coordinator; give a folder that all nodes share, or a URL such as s3://bucket/folder"
        )
    return found


def _mark(folder: str) -> str:
    try:
        os.makedirs(folder, exist_ok=True)
        handle, name = tempfile.mkstemp(prefix=".nas-seen-", dir=folder)
    except OSError as error:
        raise PlanError(
            f"artifacts.root: the machine of the coordinator can't write to {folder} ({error.strerror}); give a folder "
            "that all nodes share, or a URL such as s3://bucket/folder"
        ) from error
    os.close(handle)
    return name


def _missing(ray: Any, paths: Sequence[str]) -> dict[str, list[str]]:
    """Return path → addresses of the nodes that do not see it; nodes that do not answer are left out."""
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    looks = {}
    for node in ray.nodes():
        if node["Alive"]:
            there = NodeAffinitySchedulingStrategy(node["NodeID"], soft=False)
            task = ray.remote(unseen).options(num_cpus=0, scheduling_strategy=there, max_retries=0)
            looks[task.remote(list(paths))] = node["NodeManagerAddress"]
    ready, _ = ray.wait(list(looks), num_returns=len(looks), timeout=LOOK_S)
    missing: dict[str, list[str]] = {path: [] for path in paths}
    for answer in ready:
        with suppress(ray.exceptions.RayError):  # a node that was lost meanwhile is none that the study uses
            for path in ray.get(answer):
                missing[path].append(looks[answer])
    return missing


def unseen(paths: Sequence[str]) -> list[str]:
    """Return the paths that do not exist on the machine of the calling worker."""
    return [path for path in paths if not os.path.exists(path)]


def _listed(nodes: Sequence[str]) -> str:
    first = ", ".join(sorted(nodes)[:4])
    return f"node {first}" if len(nodes) == 1 else f"{len(nodes)} nodes ({first}{', …' if len(nodes) > 4 else ''})"
