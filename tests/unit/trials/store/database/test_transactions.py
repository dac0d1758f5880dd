"""A database that is unreachable for a while, or for good."""

from __future__ import annotations

import signal
import sqlite3
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import psycopg
import pytest
from sqlalchemy import event

from nas.errors import StorageLostError, StoreError
from tests.conftest import RestartableServer
from tests.unit.trials.store.conftest import new_study
from trials.store.models import Candidate, JobRow, SuggestionRow
from trials.store.read.history import open_jobs
from trials.store.read.rows import study_row, target_rows
from trials.store.records import AddedJob, JobResult, Proposed
from trials.store.store import Store
from trials.store.write.jobs import commit_job, start_job
from trials.store.write.leases import release_lease, renew_lease
from trials.store.write.targets import add_target


def break_next_commit(store: Store, *, after: bool) -> None:
    """Cut the connection at the next commit: either before the server commits, or after that and before it answers."""

    @event.listens_for(store.engine, "commit", once=True)
    def cut(connection) -> None:
        raw = connection.connection.driver_connection
        number = raw.info.backend_pid
        if after:
            raw.commit()
        with psycopg.connect(store.url, autocommit=True) as other:
            other.execute("SELECT pg_terminate_backend(%s, 5000)", [number])


@pytest.mark.parametrize("after", [False, True])
def test_an_interrupted_commit_takes_place_once(own_server: RestartableServer, after: bool) -> None:
    with closing(Store(own_server.url, patience_s=60)) as store:
        store.write(add_target, "local", {}, {})
        study = new_study(store, "digits")
        break_next_commit(store, after=after)
        proposed = study.propose("a")
        assert isinstance(proposed, Proposed)
        break_next_commit(store, after=after)
        attempt = store.write(start_job, study.lease, proposed.job_id)
        assert attempt == 1
        break_next_commit(store, after=after)
        done = JobResult({}, next_jobs=[("train", "")])
        following = store.write(commit_job, proposed.job_id, attempt, done)
        assert following == [AddedJob(job.job_id, 0) for job in store.read(open_jobs, study.id)]
        assert [study.num(model) for model in (Candidate, SuggestionRow, JobRow)] == [1, 1, 2]
        break_next_commit(store, after=after)
        store.write(release_lease, study.lease, "complete", {"wall_s": 2.0})
        assert (store.read(study_row, "digits").state, store.read(study_row, "digits").totals) == (
            "complete",
            {"wall_s": 2.0},
        )
        break_next_commit(store, after=after)
        new_study(store, "digits-2")


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGQUIT])
def test_a_restart_of_the_server_is_waited_for(own_server: RestartableServer, how: signal.Signals) -> None:
    with closing(Store(own_server.url, patience_s=60)) as store:
        study = new_study(store, "digits")
        for call in (
            lambda: store.write(renew_lease, study.lease, 60, {"wall_s": 1.0}),
            lambda: store.read(study_row, "digits"),
        ):
            own_server.stop(how)
            with ThreadPoolExecutor(1) as pool:
                waiting = pool.submit(call)
                time.sleep(0.5)
                assert not waiting.done()
                own_server.start()
                assert waiting.result(60)
        assert store.read(study_row, "digits").totals == {"wall_s": 1.0}


def test_a_server_that_stays_away_is_given_up(own_server: RestartableServer) -> None:
    url = own_server.url.replace("postgres@", "postgres:secret@")
    with closing(Store(url, patience_s=0.5)) as store:
        study = new_study(store, "digits")
        own_server.stop()
        with pytest.raises(StorageLostError, match=r"nas resume") as raised:
            store.write(renew_lease, study.lease, 60, {})
    assert "127.0.0.1" in str(raised.value)
    assert "secret" not in str(raised.value)


def test_without_patience_a_server_that_is_away_is_an_error_at_once(own_server: RestartableServer) -> None:
    with closing(Store(own_server.url)) as store:
        own_server.stop()
        with pytest.raises(StoreError, match="continue with `nas resume`"):
            store.read(target_rows)


def test_a_connection_that_was_not_used_for_a_while_is_replaced_after_a_restart(
    own_server: RestartableServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("trials.store.database.engine.IDLE_S", 0.0)
    with closing(Store(own_server.url)) as store:
        assert store.read(target_rows) == []
        own_server.stop()
        own_server.start()
        assert store.read(target_rows) == []


def test_a_locked_file_is_waited_for(tmp_path: Path) -> None:
    with closing(Store(f"sqlite:///{tmp_path}/nas.db", patience_s=60)) as store:
        with store.engine.connect() as connection:
            connection.exec_driver_sql("PRAGMA busy_timeout=20")
        other = sqlite3.connect(tmp_path / "nas.db", check_same_thread=False, isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        later = threading.Timer(0.5, lambda: other.execute("COMMIT"))
        later.start()
        store.write(add_target, "local", {}, {})
        later.join()
        other.close()
        assert [row.name for row in store.read(target_rows)] == ["local"]


@pytest.mark.parametrize("replaced", [False, True])
def test_a_removed_or_replaced_file_is_noticed_at_once(tmp_path: Path, replaced: bool) -> None:
    with closing(Store(f"sqlite:///{tmp_path}/nas.db", patience_s=60)) as store:
        study = new_study(store, "digits")
        (tmp_path / "nas.db").unlink()
        if replaced:
            (tmp_path / "other.db").write_bytes(b"")
            (tmp_path / "other.db").rename(tmp_path / "nas.db")
        says = "replaced by another file" if replaced else "removed"
        for call in (lambda: store.read(target_rows), lambda: store.write(renew_lease, study.lease, 60, {})):
            with pytest.raises(StorageLostError, match=says):
                call()
        assert (tmp_path / "nas.db").exists() == replaced
