"""Whole studies whose database becomes unreachable in the middle; the workers only pretend."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from nas.errors import StorageLostError
from nas.latency.targets import TargetSpec
from tests.conftest import RestartableServer
from tests.unit.trials.launch.test_preparing import PLAN, Preparing, workers  # noqa: F401  (a fixture)
from trials.executors import Job
from trials.launch import studies
from trials.plans.plan import make_plan
from trials.store.read.history import stored_suggestions
from trials.store.read.rows import study_row
from trials.store.store import Store
from trials.store.write.targets import add_target


def when_training(workers: Preparing, act: Callable[[], None]) -> None:  # noqa: F811
    """Call ``act`` once, when the second training starts."""
    submit, trainings = workers.submit, []

    def submitting(job: Job) -> None:
        if job.function.endswith(":train"):
            trainings.append(job)
            if len(trainings) == 2:
                act()
        submit(job)

    workers.submit = submitting  # type: ignore[method-assign]


@pytest.fixture(autouse=True)
def _closed(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Close the connections that launched studies open, as the end of their process would."""
    opened: list[Store] = []

    def open_store(url: str, **options: float) -> Store:
        opened.append(Store(url, **options))
        return opened[-1]

    monkeypatch.setattr(studies, "Store", open_store)
    yield
    for store in opened:
        store.close()


def prepared(url: str) -> None:
    store = Store(url)
    store.write(add_target, "local", {"spec": TargetSpec("local").to_json()}, {})
    store.close()


def test_a_study_outlasts_a_restart_of_its_server(own_server: RestartableServer, workers: Preparing) -> None:  # noqa: F811
    prepared(own_server.url)
    away = threading.Event()

    def stop() -> None:
        own_server.stop()
        away.set()

    when_training(workers, stop)
    with ThreadPoolExecutor(1) as pool:
        running = pool.submit(studies.search, make_plan(PLAN), storage=own_server.url)
        assert away.wait(120)
        time.sleep(0.5)
        own_server.start()
        assert running.result(120) == ["study"]
    store = Store(own_server.url)
    row = store.read(study_row, "study")
    history = store.read(stored_suggestions, row.id)
    store.close()
    assert (row.state, row.totals["trained"]) == ("complete", 3)
    assert [item.state for item in history if not item.duplicate] == ["complete"] * 3
    assert [kind for kind, _ in workers.ran].count("train") == 3


@pytest.mark.parametrize("replaced", [False, True])
def test_a_study_whose_file_is_removed_ends_with_an_error(tmp_path: Path, replaced: bool, workers: Preparing) -> None:  # noqa: F811
    url = f"sqlite:///{tmp_path}/nas.db"
    prepared(url)

    def remove() -> None:
        (tmp_path / "nas.db").unlink()
        if replaced:
            (tmp_path / "other").write_bytes(b"")
            (tmp_path / "other").rename(tmp_path / "nas.db")

    when_training(workers, remove)
    with pytest.raises(StorageLostError, match="while it was in use"):
        studies.search(make_plan(PLAN), storage=url)
