"""Workers in this process: jobs really run, one at a time, with payloads and results passed through JSON."""

from __future__ import annotations

import json
import time
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from trials.executors import Event, Executor, Job, Pool
from trials.executors.worker import run
from trials.jobs.messages import CALIBRATE
from trials.launch import studies
from trials.plans.plan import make_plan
from trials.store.store import Store
from trials.store.write.targets import add_target


class InProcess(Executor):
    """Runs a job when it is polled; each pool has one slot.

    Args:
        targets: name → JSON of targets that were calibrated before: a job that calibrates one of them has its result.
    """

    def __init__(
        self,
        pools: Sequence[Pool] = (),
        *,
        code: Sequence[str] = (),
        address: str | None = None,
        targets: Mapping[str, Mapping[str, Any]] | None = None,
    ) -> None:
        self.ran: list[Job] = []
        self._code = code
        self._targets = targets or {}
        self._jobs: deque[Job] = deque()

    def free(self, pool: str) -> int:
        return int(all(job.pool != pool for job in self._jobs))

    def submit(self, job: Job) -> None:
        self._jobs.append(job)

    def poll(self, timeout_s: float) -> list[Event]:
        if not self._jobs:
            time.sleep(min(timeout_s, 0.01))
            return []
        job = self._jobs.popleft()
        self.ran.append(job)
        if job.function == CALIBRATE.name and (known := self._targets.get(job.payload["spec"]["name"])):
            return [Event(job.key, "done", {"target": known})]
        payload = json.loads(json.dumps(dict(job.payload)))
        messages = run(job.function, payload, code=self._code, folders=job.folders)
        return [Event(job.key, **json.loads(message)) for message in messages]

    def cancel(self, key: str) -> None:
        self._jobs = deque(job for job in self._jobs if job.key != key)

    def close(self) -> None:
        self._jobs.clear()


def search_in_process(plan: Mapping[str, Any], path: Path, calibrated: Mapping[str, Any]) -> Path:
    """Run a study in this process and store it in a new database at ``path``; returns the path.

    Args:
        plan: the plan, as in YAML.
        path: file of the database.
        calibrated: the calibrated target ``local``, as JSON.
    """
    store = Store(f"sqlite:///{path}")
    store.write(add_target, "local", calibrated, calibrated["references"])
    store.close()

    @contextmanager
    def opened(plan: Any, address: str | None = None) -> Iterator[InProcess]:
        yield InProcess()

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(studies, "open_executor", opened)
        studies.search(make_plan(plan), storage=f"sqlite:///{path}")
    return path
