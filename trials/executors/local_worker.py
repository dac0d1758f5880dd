"""One worker process of the local executor: ``python -m trials.executors.local_worker SETTINGS``."""

from __future__ import annotations

import json
import os
import queue
import sys
import threading
from typing import Any

from trials.executors.worker import prepare, run


def main() -> None:
    """Serve jobs until standard input ends, then end at once, also in the middle of a job."""
    settings = json.loads(sys.argv[1])
    prepare(settings["code"], settings["cores"])
    replies = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what a job prints must not get among the replies
    jobs: queue.SimpleQueue[dict[str, Any]] = queue.SimpleQueue()
    threading.Thread(target=_listen, args=(jobs,), daemon=True).start()
    while True:
        job = jobs.get()
        for message in run(job["function"], job["payload"]):
            replies.write(json.dumps(message) + "\n")
            replies.flush()


def _listen(jobs: queue.SimpleQueue[dict[str, Any]]) -> None:
    for line in sys.stdin:
        jobs.put(json.loads(line))
    os._exit(0)


if __name__ == "__main__":
    main()
