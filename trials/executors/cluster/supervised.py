"""A local worker below a process of Ray's, which can tell how the worker ended."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, replace

from trials.executors import Event, Job, JobLimits, Pool
from trials.executors.local import LocalExecutor


class _Alone(LocalExecutor):
    """Its one worker imports what its jobs need: a process to fork from would only hold the same once more."""

    preload = ()


class Supervised:
    """One worker of a pool; it ends with this process."""

    def __init__(self, code: Sequence[str], pool: Pool, cores: Sequence[int]) -> None:
        self._executor = _Alone([replace(pool, size=1, cores=tuple(cores))], code=code)

    def run(self, job: str) -> Iterator[str]:
        """Run a job (``to_json``); its events as JSON texts of all that ``Event`` holds but the key."""
        given = json.loads(job)
        self._executor.submit(Job(**{**given, "limits": JobLimits(**given["limits"])}))
        while True:
            for event in self._executor.poll(1.0):
                yield _message(event)
                if event.kind != "progress":
                    return


def to_json(job: Job) -> str:
    """A job as text."""
    return json.dumps({**vars(job), "payload": dict(job.payload), "limits": asdict(job.limits)})


def _message(event: Event) -> str:
    return json.dumps({key: value for key, value in vars(event).items() if key != "key"})
