"""Jobs that behave and misbehave; imported by workers from a folder outside the package."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from nas.errors import UnreachableError

Values = Iterator[dict[str, Any]]


def count(payload: Mapping[str, Any]) -> Values:
    for number in range(payload["to"]):
        yield {"number": number}
    yield {"result": payload["to"], "pid": os.getpid()}


def hold(payload: Mapping[str, Any]) -> Values:
    """Says that it runs, and ends once its file is there."""
    yield {"pid": os.getpid()}
    while not Path(payload["until"]).exists():
        time.sleep(0.02)
    yield {"held": True}


def fail(payload: Mapping[str, Any]) -> Values:
    yield {"before": True}
    raise ValueError("this job fails on purpose")


def miss(payload: Mapping[str, Any]) -> Values:
    yield {"before": True}
    raise UnreachableError("the device of this job is away on purpose")


def leave(payload: Mapping[str, Any]) -> Values:
    yield {"before": True}
    sys.exit("this job leaves on purpose")


def unreadable(payload: Mapping[str, Any]) -> Values:
    yield {"value": object()}


def listed(payload: Mapping[str, Any]) -> Iterator[list[int]]:
    yield [1, 2]


def die(payload: Mapping[str, Any]) -> Values:
    yield {"pid": os.getpid()}
    os.kill(os.getpid(), signal.SIGKILL)
    yield {}


def die_as_a_parent(payload: Mapping[str, Any]) -> Values:
    """Leaves a process that has all its files open."""
    child = os.fork()
    if child == 0:
        time.sleep(600)
    yield {"child": child}
    os.kill(os.getpid(), signal.SIGKILL)
    yield {}


def litter(payload: Mapping[str, Any]) -> Values:
    """Would clean up, but is killed before."""
    with tempfile.TemporaryDirectory() as folder:
        yield {"folder": folder}
        time.sleep(600)


def start_a_process(payload: Mapping[str, Any]) -> Values:
    child = subprocess.Popen(["sleep", "600"])
    yield {"child": child.pid}
    time.sleep(600)


def echo(payload: Mapping[str, Any]) -> Values:
    print("what a job prints is no message")
    yield {"text": payload["text"], "odd": [float("nan"), float("inf"), None, True, "\ud800"]}


def surroundings(payload: Mapping[str, Any]) -> Values:
    """What the worker's pool gives it; it reads its standard input, where requests may come from."""
    typed = sys.stdin.read() if sys.stdin else ""
    yield {
        "threads": os.environ["OMP_NUM_THREADS"],
        "cores": sorted(os.sched_getaffinity(0)),
        "typed": typed,
        "file": __file__,
    }


def where(payload: Mapping[str, Any]) -> Values:
    """The node of a Ray worker; both nodes of a cluster are in use while both files are not there yet."""
    import ray

    node = ray.get_runtime_context().get_node_id()
    yield {"node": node}
    while not Path(payload["until"]).exists():
        time.sleep(0.02)
    yield {"node": node, "file": __file__, "pid": os.getpid()}
