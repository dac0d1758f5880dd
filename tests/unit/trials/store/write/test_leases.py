import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy import update

from nas.errors import StudyError
from trials.jobs.environment import owner
from trials.store.dialect import Clock
from trials.store.models import Study
from trials.store.read.history import open_jobs
from trials.store.read.rows import study_row
from trials.store.records import Lease
from trials.store.write.jobs import recover_jobs, requeue_job, start_job, stop_candidate
from trials.store.write.leases import acquire_lease, check_lease_free, release_lease, renew_lease
from trials.store.write.requests import add_request, read_request

HERE = socket.gethostname()


def _start_of(pid: int) -> str:
    return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[19]


@pytest.fixture
def sleeper() -> Iterator[subprocess.Popen[bytes]]:
    process = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(120)"])
    yield process
    process.kill()
    process.wait()


def _expire(study) -> None:
    with study.store.transaction() as connection:
        connection.execute(update(Study).where(Study.id == study.id).values(lease_expires_at=Clock(-1.0)))


def later(lease: Lease) -> Lease:
    """The lease of the coordinator that comes next."""
    return replace(lease, epoch=lease.epoch + 1)


def test_a_live_coordinator_elsewhere_keeps_its_study(study) -> None:
    since = study.store.read(study_row, "digits").lease_since
    for take in (
        lambda *who: study.store.read(check_lease_free, *who),
        lambda *who: study.store.write(acquire_lease, *who, 60),
    ):
        with pytest.raises(StudyError, match="run by elsewhere:1:1 since") as raised:
            take(study.id, owner())
        assert f"{since:%Y-%m-%d %H:%M:%S}" in str(raised.value)


def test_an_expired_lease_is_anyone_s(study) -> None:
    _expire(study)
    study.store.read(check_lease_free, study.id, owner())
    assert study.store.write(acquire_lease, study.id, owner(), 60) == later(study.lease)


def test_a_lease_lasts_as_long_as_it_is_renewed(study) -> None:
    _expire(study)
    assert study.store.write(renew_lease, study.lease, 60, {})
    with pytest.raises(StudyError, match="has been run by"):
        study.store.write(acquire_lease, study.id, owner(), 60)


def test_a_coordinator_may_take_its_own_study_again(study) -> None:
    assert study.store.write(acquire_lease, study.id, "elsewhere:1:1", 60) == later(study.lease)


def test_a_live_coordinator_on_this_machine_keeps_its_study(store, study, sleeper) -> None:
    store.write(release_lease, study.lease, "interrupted", {})
    store.write(acquire_lease, study.id, f"{HERE}:{sleeper.pid}:{_start_of(sleeper.pid)}", 60)
    with pytest.raises(StudyError, match=f"run by {HERE}:{sleeper.pid}"):
        store.write(acquire_lease, study.id, owner(), 60)


def test_a_dead_coordinator_on_this_machine_is_followed_at_once(store, study, sleeper) -> None:
    store.write(release_lease, study.lease, "interrupted", {})
    before = store.write(acquire_lease, study.id, f"{HERE}:{sleeper.pid}:{_start_of(sleeper.pid)}", 60)
    sleeper.kill()  # it is a zombie until its parent waits for it
    while Path(f"/proc/{sleeper.pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z":
        pass
    assert store.write(acquire_lease, study.id, owner(), 60) == later(before)


def test_another_process_of_the_same_number_is_not_the_coordinator(store, study) -> None:
    store.write(release_lease, study.lease, "interrupted", {})
    store.write(acquire_lease, study.id, f"{HERE}:{os.getpid()}:1", 60)
    assert store.write(acquire_lease, study.id, owner(), 60) == later(later(study.lease))


def test_every_write_of_a_former_coordinator_is_refused(store, study) -> None:
    waiting, (working, attempt) = study.new("a"), study.started("b")
    _expire(study)
    lease = store.write(acquire_lease, study.id, owner(), 60)
    before = [study.rows(Study), study.num(Study)]
    for write in (
        lambda: study.propose("c"),
        lambda: store.write(start_job, study.lease, waiting.job_id),
        lambda: store.write(stop_candidate, study.lease, waiting.number, "no time"),
        lambda: store.write(recover_jobs, study.lease),
        lambda: store.write(release_lease, study.lease, "complete", {}),
    ):
        with pytest.raises(StudyError, match="another coordinator took over study 'digits'"):
            write()
    assert not store.write(renew_lease, study.lease, 60, {})
    assert [study.rows(Study), study.num(Study)] == before
    assert store.write(recover_jobs, lease) == 1
    assert not store.write(requeue_job, working.job_id, attempt, "lost")
    assert [job.job_id for job in store.read(open_jobs, study.id)] == [waiting.job_id, working.job_id]


def test_release_says_how_it_ended(store, study) -> None:
    store.write(release_lease, study.lease, "complete", {"wall_s": 2.5})
    row = store.read(study_row, "digits")
    assert (row.state, row.totals, row.error) == ("complete", {"wall_s": 2.5}, None)
    assert row.lease_owner is row.lease_since is row.lease_expires_at is None
    assert row.finished_at is not None
    assert row.finished_at >= row.created_at
    with pytest.raises(StudyError, match="another coordinator took over"):
        study.propose("a")


def test_an_interrupted_study_is_not_finished_and_remembers_why(store, study) -> None:
    store.write(release_lease, study.lease, "interrupted", {}, "OSError: disk full\0")
    row = store.read(study_row, "digits")
    assert (row.state, row.finished_at, row.error) == ("interrupted", None, "OSError: disk full\ufffd")
    store.write(acquire_lease, study.id, owner(), 60)
    row = store.read(study_row, "digits")
    assert (row.state, row.error, row.lease_owner) == ("running", None, owner())


def test_exactly_one_of_several_racing_processes_gets_the_lease(store, study, store_url, race) -> None:
    store.write(release_lease, study.lease, "interrupted", {})
    said = race(
        "from nas.errors import StudyError\nfrom trials.store.store import Store\n"
        "from trials.store.write.leases import acquire_lease",
        "url, study, owner = argument.split('|')\n"
        "try: print('epoch', Store(url).write(acquire_lease, int(study), owner, 60).epoch)\n"
        "except StudyError as error: print('refused', error)",
        [f"{store_url}|{study.id}|host{number}:1:1" for number in range(4)],
    )
    assert [line for line in said if line.startswith("epoch")] == [f"epoch {study.lease.epoch + 1}\n"]
    assert sum(line.startswith("refused study 'digits'") for line in said) == 3


def test_a_request_is_for_the_coordinator_that_ran_when_it_was_made(study) -> None:
    study.store.write(release_lease, study.lease, "interrupted", {})
    study.store.write(acquire_lease, study.id, owner(), 60.0)
    study.store.write(add_request, study.id, "pause")
    again = study.store.write(acquire_lease, study.id, owner(), 60.0)
    assert study.store.read(read_request, study.id) == "pause"
    study.store.write(release_lease, again, "paused", {})
    assert study.store.read(read_request, study.id) is None
    study.store.write(add_request, study.id, "stop")
    study.store.write(acquire_lease, study.id, "elsewhere:1:1", 60.0)
    assert study.store.read(read_request, study.id) is None
