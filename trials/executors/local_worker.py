"""The main function of a worker process of the local executor."""

from __future__ import annotations

import json
import os
import queue
import signal
import threading
from collections.abc import Iterator, Mapping
from typing import Any

from trials.executors.leftovers import end_leftovers
from trials.executors.processes import adopt_orphans, below
from trials.executors.worker import run


def serve(settings: Mapping[str, Any]) -> None:
    """Run jobs until standard input closes; then end at once, even in the middle of a job."""
    adopt_orphans()
    replies = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # a job's output must not mix with the replies
    jobs: queue.SimpleQueue[dict[str, Any]] = queue.SimpleQueue()
    requests = os.fdopen(os.dup(0))
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)  # a job and its processes must not read the requests
    threading.Thread(target=_listen, args=(requests, jobs), daemon=True).start()
    while True:
        for message in _tidy(run(**jobs.get(), **settings)):
            replies.write(message + "\n")
            replies.flush()


def _tidy(messages: Iterator[str]) -> Iterator[str]:
    """Yield a job's messages; if a job leaves processes behind, its success becomes an error."""
    before = set(below(os.getpid()))
    for message in messages:
        if message.startswith('{"kind": "progress"'):
            yield message
            continue
        left = end_leftovers(before)
        if left and message.startswith('{"kind": "done"'):
            message = json.dumps({"kind": "error", "error": f"ProcessesLeft: {left}"})
        yield message


def _listen(requests: Any, jobs: queue.SimpleQueue[dict[str, Any]]) -> None:
    for line in requests:
        jobs.put(json.loads(line))
    if os.getpgrp() == os.getpid():  # also ends the processes that a job started, which belong to this group
        os.killpg(os.getpid(), signal.SIGKILL)
    os._exit(0)
