"""Jobs that behave and misbehave; imported by workers from a folder outside the package."""

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


def end(payload: Mapping[str, Any]) -> Values:
    """Ends by a signal, or with an exit code of its own."""
    yield {"pid": os.getpid()}
    if "signal" in payload:
        signal.signal(payload["signal"], signal.SIG_DFL)
        os.kill(os.getpid(), payload["signal"])
    os._exit(payload["code"])


def leave_a_process(payload: Mapping[str, Any]) -> Values:
    """Ends as it should, but for a process of another session that lives on."""
    yield {"child": _detached(lambda: time.sleep(600))}


def hold_with_a_process(payload: Mapping[str, Any]) -> Values:
    """Never ends, nor does a process of another session."""
    yield {"pid": os.getpid(), "child": _detached(lambda: time.sleep(600))}
    time.sleep(600)


def eat(payload: Mapping[str, Any]) -> Values:
    """Holds more and more memory, in a process of its own if asked to."""
    if payload["child"]:
        yield {"child": _detached(_eat)}
        time.sleep(600)
    yield {}
    _eat()


def fill_the_disk(payload: Mapping[str, Any]) -> Values:
    """Writes more than there is room for; the library it uses tells no error number."""
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
    """Finds its folder, which then is gone, and writes there."""
    Path(payload["folder"]).rmdir()
    yield from write(payload)


def _detached(what: Callable[[], None]) -> int:
    """A grandchild in a session of its own, whose parent has ended; its number."""
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
