"""Jobs that behave and jobs that misbehave; workers import them from a folder outside the package."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from nas.errors import UnreachableError

Values = Iterator[dict[str, Any]]


def count(payload: Mapping[str, Any]) -> Values:
    for number in range(payload["to"]):
        yield {"number": number}
    yield {"result": payload["to"], "pid": os.getpid()}


def hold(payload: Mapping[str, Any]) -> Values:
    """Reports that it runs, and ends when its file exists."""
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


def end(payload: Mapping[str, Any]) -> Values:
    """Ends its process by a signal or with a given exit code."""
    yield {"pid": os.getpid()}
    if "signal" in payload:
        signal.signal(payload["signal"], signal.SIG_DFL)
        os.kill(os.getpid(), payload["signal"])
    os._exit(payload["code"])


def leave_a_process(payload: Mapping[str, Any]) -> Values:
    """Ends normally, but leaves a process of another session behind."""
    yield {"child": _detached(lambda: time.sleep(600))}


def hold_with_a_process(payload: Mapping[str, Any]) -> Values:
    """Never ends, and neither does a process of another session that it starts."""
    yield {"pid": os.getpid(), "child": _detached(lambda: time.sleep(600))}
    time.sleep(600)


def eat(payload: Mapping[str, Any]) -> Values:
    """Allocates more and more memory, in a process of its own if asked to."""
    if payload["child"]:
        yield {"child": _detached(_eat)}
        time.sleep(600)
    yield {}
    _eat()


def fill_the_disk(payload: Mapping[str, Any]) -> Values:
    """Writes more than there is room for, with a library whose error carries no error number."""
    import torch

    yield {}
    path = Path(payload["folder"]) / "file"
    try:
        torch.save(torch.zeros(2_000_000), path)
    finally:
        path.unlink(missing_ok=True)


def write(payload: Mapping[str, Any]) -> Values:
    """Writes a file."""
    (Path(payload["folder"]) / "written").write_text("text")
    yield {"written": True}


def write_where_nothing_is(payload: Mapping[str, Any]) -> Values:
    """Removes its folder and then writes there."""
    Path(payload["folder"]).rmdir()
    yield from write(payload)


def _detached(what: Callable[[], None]) -> int:
    """Start a grandchild in a session of its own, whose parent has ended; returns its process id."""
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        os.setsid()
        if pid := os.fork():
            os.write(write, str(pid).encode())
            os._exit(0)
        what()
    os.waitpid(child, 0)
    found = int(os.read(read, 20))
    os.close(read)
    os.close(write)
    return found


def _eat() -> None:
    held = []
    while True:
        held.append(bytearray(os.urandom(1 << 20)) * 20)
        time.sleep(0.01)


def die_as_a_parent(payload: Mapping[str, Any]) -> Values:
    """Is killed while a child process keeps all its files open."""
    child = os.fork()
    if child == 0:
        time.sleep(600)
    yield {"child": child}
    os.kill(os.getpid(), signal.SIGKILL)
    yield {}


def litter(payload: Mapping[str, Any]) -> Values:
    """Is killed before it can remove its temporary files."""
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
    """Threads and cores that the pool gives to its worker; reads standard input, where requests may arrive."""
    typed = sys.stdin.read() if sys.stdin else ""
    yield {
        "threads": os.environ["OMP_NUM_THREADS"],
        "cores": sorted(os.sched_getaffinity(0)),
        "typed": typed,
        "file": __file__,
    }


def where(payload: Mapping[str, Any]) -> Values:
    """The node of a Ray worker. Two jobs wait for each other's file, so that both nodes of a cluster are in use at
    once.
    """
    import ray

    node = ray.get_runtime_context().get_node_id()
    yield {"node": node}
    while not Path(payload["until"]).exists():
        time.sleep(0.02)
    yield {"node": node, "file": __file__, "pid": os.getpid()}
