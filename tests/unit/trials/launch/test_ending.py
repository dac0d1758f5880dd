"""A running study is paused and stopped by another thread, which knows only the database; the workers only pretend."""

from __future__ import annotations

import time
from collections.abc import Mapping
from contextlib import nullcontext
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
from sqlalchemy import Connection, select

from nas.errors import StudyError
from tests.unit.trials.launch.test_extension import PLAN
from tests.unit.trials.launch.test_preparing import Preparing
from tests.unit.trials.store.conftest import new_study
from trials.coordinator import coordinator
from trials.launch import studies
from trials.launch.cluster import ending
from trials.launch.cluster.ending import pause, stop
from trials.plans.plan import make_plan
from trials.store.models import Candidate, JobRow
from trials.store.read.log import log_lines
from trials.store.read.rows import study_row
from trials.store.store import Store
from trials.store.write.leases import is_held, release_lease
from trials.store.write.requests import read_request


class Ended(Preparing):
    """The third training calls ``pause`` or ``stop`` in a thread, and goes on once the request is stored."""

    def __init__(self, url: str) -> None:
        super().__init__()
        self.end = pause
        self.asking: Thread | None = None
        self._url = url

    def _result(self, kind: str, payload: Mapping[str, Any]) -> Mapping[str, Any]:
        if kind == "train" and self.asking is None and sum(ran == "train" for ran, _ in self.ran) == 3:
            self.asking = Thread(target=self.end, args=(Store(self._url), "study"))
            self.asking.start()
            store = Store(self._url)
            study, deadline = store.read(study_row, "study"), time.monotonic() + 30
            while store.read(read_request, study.id) is None:
                assert time.monotonic() < deadline
                time.sleep(0.01)
        return super()._result(kind, payload)

    def came_back(self) -> bool:
        """Whether the thread returned; the next third training asks again."""
        assert self.asking is not None
        self.asking.join(30)
        returned = not self.asking.is_alive()
        self.asking = None
        self.ran.clear()
        return returned


@pytest.fixture
def url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path / 'nas.db'}"


@pytest.fixture
def workers(url: str, monkeypatch: pytest.MonkeyPatch) -> Ended:
    executor = Ended(url)
    monkeypatch.setattr(studies, "open_executor", lambda plan, address=None: nullcontext(executor))
    monkeypatch.setattr(coordinator, "REQUESTS_EVERY_S", 0.0)
    return executor


def states(store: Store, model: type) -> list[str]:
    return store.read(lambda connection: list(connection.execute(select(model.__table__.c.state)).scalars()))


def test_a_study_is_paused_resumed_and_stopped(url: str, workers: Ended) -> None:
    studies.search(make_plan(PLAN | {"budget": {"trials": 40}}), storage=url)
    assert workers.came_back()
    store = Store(url)
    assert (store.read(study_row, "study").state, states(store, JobRow).count("running")) == ("paused", 0)
    with pytest.raises(StudyError, match="is paused, and no process runs it"):
        pause(store, "study")
    before = states(store, Candidate).count("complete")

    workers.end = stop
    studies.resume(url, "study")
    assert workers.came_back()
    row = store.read(study_row, "study")
    assert (row.state, row.lease_owner, row.request) == ("stopped", None, None)
    assert row.finished_at is not None
    assert before < states(store, Candidate).count("complete") < 40
    assert not {"queued", "running"} & {*states(store, Candidate), *states(store, JobRow)}
    with pytest.raises(StudyError, match="is stopped already"):
        stop(store, "study")
    told = [line.text for line in log_lines(store, "study", 100)]
    assert [text for text in told if text.startswith("the study is")] == ["the study is paused", "the study is stopped"]
    assert sum("runs the study" in text for text in told) == 2


def test_a_study_that_is_released_while_it_is_looked_at_has_not_died(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    store = Store(url)
    study = new_study(store, "study")
    found = iter((True, False))

    def ends_meanwhile(connection: Connection, study_id: int) -> bool:
        if held := next(found):
            return held
        store.write(release_lease, study.lease, "stopped", {})
        return is_held(connection, study_id)

    monkeypatch.setattr(ending, "is_held", ends_meanwhile)
    stop(store, "study")
    assert store.read(study_row, "study").state == "stopped"
