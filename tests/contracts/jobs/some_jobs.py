"""Jobs that behave and misbehave; imported by workers from a folder outside the package."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from typing import Any


def count(payload: dict[str, Any]) -> Iterator[dict[str, Any]]:
    for number in range(payload["to"]):
        yield {"number": number}
    yield {"result": payload["to"], "pid": os.getpid()}


def nap(payload: dict[str, Any]) -> Iterator[dict[str, Any]]:
    start = time.time()
    time.sleep(payload["seconds"])
    yield {"start": start, "end": time.time(), "pid": os.getpid()}


def fail(payload: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield {"before": True}
    raise ValueError("this job fails on purpose")


def die(payload: dict[str, Any]) -> Iterator[dict[str, Any]]:
    os.kill(os.getpid(), signal.SIGKILL)
    yield {}


def echo(payload: dict[str, Any]) -> Iterator[dict[str, Any]]:
    print("what a job prints is no message")
    yield {"text": payload["text"], "number": float("nan")}


def where(payload: dict[str, Any]) -> Iterator[dict[str, Any]]:
    import ray

    time.sleep(payload.get("seconds", 0))
    yield {"node": ray.get_runtime_context().get_node_id(), "file": __file__}
