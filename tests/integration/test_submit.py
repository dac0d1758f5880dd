"""A user's day on a cluster of several nodes with PostgreSQL: every command is a process of its own."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from tests.conftest import RestartableServer
from tests.integration.forks import nas_fork
from tests.integration.ray_nodes import NAS, Cluster, nas, ray_cluster, said, wait_for_port, wait_until
from trials.store.read.studies import list_studies
from trials.store.store import Store

#: When the first and the last measurement of each study began.
MEASURED = """
SELECT studies.name, min(jobs.started_at), max(jobs.started_at) FROM jobs
JOIN candidates ON candidates.id = jobs.candidate_id JOIN studies ON studies.id = candidates.study_id
WHERE jobs.kind = 'gate' GROUP BY studies.name ORDER BY studies.name
"""
#: Other seeds, so that no study finds its latencies in the database.
SEEDS = {"one": "seed=1", "two": "seed=2"}
MEMORY = ["resources.train.max_memory_mb=9000000"]


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    with ray_cluster("--num-cpus=2", '--resources={"target:local": 1}') as cluster:
        wait_for_port(cluster.job_port, Path(cluster.environment["RAY_AUTH_TOKEN_PATH"]))
        yield cluster


@pytest.fixture
def url(server_url: str) -> str:
    return server_url


def status(cluster: Cluster, url: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(said(nas(cluster, "status", "study", "--storage", url, "--json")))
    return found


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_a_days_work(cluster: Cluster, url: str, cluster_plan: Callable[..., Path], tmp_path: Path) -> None:
    at = ("--address", cluster.job_server, "--storage", url)
    job = said(nas(cluster, "submit", str(cluster_plan()), *at)).strip()
    assert job.startswith("nas-study-")
    assert status(cluster, url)["state"] in ("preparing", "running")
    again = nas(cluster, "submit", str(cluster_plan()), "budget.trials=9", *at)
    assert (again.returncode, "another plan, which differs in budget.trials;" in again.stderr) == (2, True), (
        again.stderr
    )

    cluster.add_node()
    wait_until(lambda: num_trainers(tmp_path) == 2)
    said(nas(cluster, "pause", "study", "--storage", url))
    assert status(cluster, url)["state"] == "paused"
    assert num_trainers(tmp_path) == 0

    assert said(nas(cluster, "resume", "study", *at)).startswith("nas-study-")
    before = status(cluster, url)["trials"]["complete"]
    wait_until(lambda: status(cluster, url)["trials"]["complete"] > before)
    said(nas(cluster, "stop", "study", "--storage", url))
    assert status(cluster, url)["state"] == "stopped"
    assert num_trainers(tmp_path) == 0
    assert "study study has ended, so nothing runs on" in nas(cluster, "submit", str(cluster_plan()), *at).stderr


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_two_studies_measure_on_one_target_in_turns(
    cluster: Cluster, url: str, cluster_plan: Callable[..., Path]
) -> None:
    cluster.add_node()
    path = str(cluster_plan(concurrency=1, budget={"trials": 6}))
    at = ("--address", cluster.job_server, "--storage", url)
    with ThreadPoolExecutor(2) as pool:
        for done in pool.map(lambda name: nas(cluster, "submit", path, "--name", name, *at, SEEDS[name]), SEEDS):
            said(done)
    store = Store(url)
    wait_until(lambda: {study.state for study in list_studies(store)} == {"complete"})
    with store.engine.connect() as connection:
        rows = connection.execute(text(MEASURED)).all()
    store.close()
    (one, first_of_one, last_of_one), (two, first_of_two, last_of_two) = rows
    assert (one, two) == ("one", "two")
    assert first_of_one < last_of_two, "one study has waited for the end of the other"
    assert first_of_two < last_of_one, "one study has waited for the end of the other"


def num_trainers(folder: Path) -> int:
    """Number of living processes that have trained."""
    steps = folder / "steps"
    pids = set(steps.read_text().split()) if steps.exists() else set()
    return sum(Path(f"/proc/{pid}").exists() for pid in pids)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (["--storage", "sqlite:///nas.db"], "is a file, which a coordinator on a cluster can't share"),
        (["--storage", "postgresql://nas:secret@db/nas"], "contains a password, which everybody"),
        (["--address", "127.0.0.1:6379"], "is not that of a job server"),
        (["--address", "http://127.0.0.1:9"], "nothing answers at http://127.0.0.1"),
        (["artifacts.root=null"], "artifacts.root is not set"),
        (["executor=local"], "executor: local runs on one machine"),
    ],
)
def test_what_a_cluster_can_not_use_is_refused_at_once(
    change: list[str], message: str, cluster_plan: Callable[..., Path]
) -> None:
    usual = ["--storage", "postgresql://nas@127.0.0.1/nas", "--address", "http://127.0.0.1:1"]
    arguments = ["submit", str(cluster_plan()), *usual, *change]  # the last of two equal options counts
    ended = nas_fork(*arguments).finish()
    assert (ended.returncode, message in ended.stderr) == (2, True), ended.stderr
    assert "secret" not in ended.stderr


def test_a_person_is_told_at_once_that_the_database_does_not_answer(plan: Callable[..., Path]) -> None:
    ended = nas_fork("search", str(plan()), "--storage", "postgresql://nas@127.0.0.1:9/nas").finish()
    assert (ended.returncode, "can't open 'postgresql://nas@127.0.0.1:9/nas'" in ended.stderr) == (2, True)
    assert "trying again" not in ended.stderr


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_what_the_cluster_finds_out_leaves_nothing_behind(
    cluster: Cluster, url: str, own_server: RestartableServer, cluster_plan: Callable[..., Path], tmp_path: Path
) -> None:
    path, at = str(cluster_plan()), ("--address", cluster.job_server, "--storage", url)
    (tmp_path / "token").write_text("0" * 64)
    for variables in ({"RAY_AUTH_TOKEN_PATH": str(tmp_path / "token")}, {"RAY_AUTH_MODE": "disabled"}):
        refused(nas(cluster, "submit", path, *at, **variables), "needs a token, and the token here is missing or wrong")
    nowhere = nas(cluster, "submit", path, "targets=[{name: nowhere}]", "resources.train.gpus=3", *MEMORY, *at)
    refused(
        nowhere,
        "no node of the cluster has room for a worker of pool 'train', which needs CPU 1, GPU 3, memory 9,000,000 MB",
        "'target:nowhere'",
    )
    assert said(nas(cluster, "list", "--storage", url, "--json")).strip() == "[]"
    absent = url.replace("/postgres?", "/nowhere?")
    said_there = "did not begin on the cluster: StoreError: can't open 'postgresql://"
    refused(nas(cluster, "submit", path, "--address", cluster.job_server, "--storage", absent), said_there)


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_a_job_that_starts_while_the_database_is_away_waits_for_it(
    cluster: Cluster, url: str, own_server: RestartableServer, cluster_plan: Callable[..., Path]
) -> None:
    own_server.stop()
    command = ("submit", str(cluster_plan()), "--address", cluster.job_server, "--storage", url)
    with subprocess.Popen(
        [NAS, *command], env=cluster.environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as submitting:
        assert submitting.stderr is not None
        assert any("does not answer; trying again for 5 minutes" in line for line in submitting.stderr)
        own_server.start()
        _, rest = submitting.communicate(timeout=280)
    assert (submitting.returncode, "study study runs on" in rest) == (0, True), rest
    assert status(cluster, url)["state"] in ("preparing", "running")


def refused(done: subprocess.CompletedProcess[str], *messages: str) -> None:
    assert done.returncode == 2, done.stdout + done.stderr
    assert all(message in done.stderr for message in messages), done.stderr
    assert "Traceback" not in done.stderr
