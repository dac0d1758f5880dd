"""A study that was really trained, and jobs in this process that can be abandoned in the middle."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Generator, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.unit.trials.in_process import InProcess, search_in_process
from trials.executors import Event, Job
from trials.executors.worker import run
from trials.launch.training import final, reproducing
from trials.store.store import Store

PLAN = {
    "task": {"name": "digits", "image_size": 8},
    "space": {"name": "plain_convnet"},
    "policies": [{"name": "precision", "options": ["int8"]}],
    "strategy": {"name": "random"},
    "estimator": {"name": "training", "epochs": 1},
    "measure": {"precision": 0.5, "budget_s": 0.2, "canary_every": 0, "audit": 0.0},
    "executor": "local",
    "budget": {"trials": 2},
    "artifacts": {"retention": "all"},
    "final_training": {"epochs": 2},
}


class EventByEvent(InProcess):
    """Reports one message of a job at a time, so that a job can be abandoned in the middle."""

    messages: Generator[str] | None = None

    def free(self, pool: str) -> int:
        return int(not self._jobs)

    def poll(self, timeout_s: float) -> list[Event]:
        job = self._jobs[0]
        if not self.ran or self.ran[-1] is not job:
            self.ran.append(job)
            self.messages = _messages(job)
        assert self.messages is not None
        event = Event(job.key, **json.loads(next(self.messages)))
        if event.kind != "progress":
            self._jobs.popleft()
        return [event]

    def close(self) -> None:
        super().close()
        if self.messages is not None:
            self.messages.close()


def _messages(job: Job) -> Generator[str]:
    yield from run(job.function, json.loads(json.dumps(dict(job.payload))), folders=job.folders)


@pytest.fixture(scope="session")
def searched(tmp_path_factory: pytest.TempPathFactory, calibrated: dict[str, Any], _measuring: None) -> Path:
    """A database with a finished study."""
    return search_in_process(PLAN, tmp_path_factory.mktemp("searched") / "nas.db", calibrated)


@pytest.fixture
def executor(monkeypatch: pytest.MonkeyPatch) -> EventByEvent:
    found = EventByEvent()

    @contextmanager
    def opened(*arguments: Any) -> Iterator[InProcess]:
        try:
            yield found
        finally:
            found.close()

    for module in (final, reproducing):
        monkeypatch.setattr(module, "open_training_executor", opened)
    return found


@pytest.fixture
def copy(searched: Path, tmp_path: Path, executor: EventByEvent) -> Iterator[Callable[[], Store]]:
    """Makes copies of the database; each has folders of its own for new files."""
    stores: list[Store] = []

    def make() -> Store:
        folder = tmp_path / str(len(stores))
        folder.mkdir()
        with closing(sqlite3.connect(searched)) as source, closing(sqlite3.connect(folder / "nas.db")) as target:
            source.backup(target)
        stores.append(Store(f"sqlite:///{folder / 'nas.db'}"))
        return stores[-1]

    yield make
    for store in stores:
        store.close()


@pytest.fixture
def store(copy: Callable[[], Store]) -> Store:
    return copy()
