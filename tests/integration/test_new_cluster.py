"""A cluster is lost in the middle of a study; the study continues on a new one, and nothing is stored twice."""

from __future__ import annotations

import importlib
import os
import signal
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from sqlalchemy import text

from tests.integration.ray_nodes import NAS, Cluster, nas, ray_cluster, said, wait_for_port, wait_until
from trials.store.models import Study
from trials.store.read.rows import study_row
from trials.store.store import Store

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"
TRIALS, EPOCHS = 10, 3
MEASURE = {"precision": 0.5, "budget_s": 0.2, "canary_every": 0, "audit": 0}
pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]


@contextmanager
def two_nodes() -> Iterator[Cluster]:
    with ray_cluster('--resources={"target:local": 1}') as cluster:
        cluster.add_node()
        wait_for_port(cluster.job_port, Path(cluster.environment["RAY_AUTH_TOKEN_PATH"]))
        yield cluster


@pytest.fixture
def store(server_url: str) -> Iterator[Store]:
    store = Store(server_url)
    yield store
    store.close()


@pytest.fixture
def path(cluster_plan: Callable[..., Path]) -> str:
    return str(cluster_plan(budget={"trials": TRIALS}, measure=MEASURE))


def study(store: Store) -> Study:
    return store.read(study_row, "study")


def count(store: Store, query: str) -> int:
    with store.engine.connect() as connection:
        return int(connection.execute(text(query)).scalar_one())


def is_in_the_middle(store: Store) -> bool:
    """Whether some candidates are complete, and one is trained."""
    complete = count(store, "SELECT count(*) FROM candidates WHERE state = 'complete'")
    return complete >= 2 and count(store, "SELECT count(*) FROM jobs WHERE state = 'running' AND kind = 'train'") > 0


def check_complete(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """Wait for the study's end; then it has exactly its budget, and each record is there once."""
    wait_until(lambda: study(store).state == "complete")
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    queries = importlib.import_module("chaos_parts.checks").WRONG
    assert {what: found for what, query in queries.items() if (found := count(store, query))} == {}
    assert count(store, "SELECT count(*) FROM candidates") == TRIALS
    assert count(store, "SELECT count(*) FROM epochs") == TRIALS * EPOCHS
    assert study(store).totals["trained"] == TRIALS


def test_a_study_goes_on_where_it_is_submitted_again(path: str, store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    with two_nodes() as lost:
        said(nas(lost, "submit", path, "--address", lost.job_server, "--storage", store.url))
        wait_until(lambda: is_in_the_middle(store))
        owner = study(store).lease_owner
        lost.kill()
        with two_nodes() as new:
            said(nas(new, "submit", path, "--address", new.job_server, "--storage", store.url))
            assert study(store).lease_owner not in (None, owner)
            check_complete(store, monkeypatch)


def test_a_coordinator_that_wakes_up_after_its_study_moved_writes_nothing(
    path: str, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    with two_nodes() as lost:
        command = [NAS, "search", path, "--or-resume", "--address", lost.address, "--storage", store.url]
        with subprocess.Popen(
            command, env=lost.environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        ) as old:
            try:
                wait_until(lambda: is_in_the_middle(store))
                os.kill(old.pid, signal.SIGSTOP)
                epoch = study(store).lease_epoch
                lost.kill()
                with two_nodes() as new:
                    said(nas(new, "submit", path, "--address", new.job_server, "--storage", store.url))
                    wait_until(lambda: study(store).state == "running")
                    moved = study(store)
                    assert moved.lease_epoch > epoch
                    os.kill(old.pid, signal.SIGCONT)
                    printed, _ = old.communicate(timeout=180)
                    assert old.returncode != 0
                    assert "another coordinator took over study 'study'" in printed
                    now = study(store)
                    assert (now.lease_epoch, now.error) == (moved.lease_epoch, None)
                    check_complete(store, monkeypatch)
            finally:
                old.kill()
