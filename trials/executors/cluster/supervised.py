"""A local worker as a child of a Ray process, which can find out how the worker ended."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, replace

from trials.executors import Event, Job, JobLimits, Pool
from trials.executors.local import LocalExecutor


class _Alone(LocalExecutor):
    """A local executor with one worker and nothing preloaded, because a template would only double the memory."""

    preload = ()


class Supervised:
    """One worker of a pool; the worker ends when this process ends."""

    def __init__(self, code: Sequence[str], pool: Pool, cores: Sequence[int]) -> None:
        self._executor = _Alone([replace(pool, size=1, cores=tuple(cores))], code=code)

    def run(self, job: str) -> Iterator[str]:
        """Run a job given as text by ``to_json``; yield its events as JSON texts without their key."""
        given = json.loads(job)
        self._executor.submit(Job(**{**given, "limits": JobLimits(**given["limits"])}))
        while True:
            for event in self._executor.poll(1.0):
                yield _message(event)
                if event.kind != "progress":
                    return


def to_json(job: Job) -> str:
    """Return a job as JSON text."""
    return json.dumps({**vars(job), "payload": dict(job.payload), "limits": asdict(job.limits)})


def _message(event: Event) -> str:
    return json.dumps({key: value for key, value in vars(event).items() if key != "key"})
