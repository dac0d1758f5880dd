"""What Prometheus is told, on both kinds of database, over a real connection."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from urllib.request import urlopen

import pytest
from prometheus_client.parser import text_string_to_metric_families
from sqlalchemy import event, update

from nas.errors import PlanError
from tests.unit.trials.store.conftest import Searching, new_study
from trials.reporting.prometheus import serve
from trials.store.dialect import Clock
from trials.store.models import Study
from trials.store.store import Store
from trials.store.write.jobs import stop_candidate
from trials.store.write.leases import release_lease, renew_lease

Figures = dict[tuple[str, ...], float]


@pytest.fixture
def store(store_url: str) -> Iterator[Store]:
    opened = Store(store_url)
    yield opened
    opened.close()


@pytest.fixture
def port(store: Store) -> Iterator[int]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        number = int(probe.getsockname()[1])
    server, thread = serve(store, "127.0.0.1", number)
    yield number
    server.shutdown()
    server.server_close()
    thread.join()


def told(port: int) -> Figures:
    with urlopen(f"http://127.0.0.1:{port}/metrics") as answer:
        families = list(text_string_to_metric_families(answer.read().decode()))
    samples = [sample for family in families for sample in family.samples]
    order = ("study", "pool", "target", "state")
    return {(item.name, *(item.labels[key] for key in order if key in item.labels)): item.value for item in samples}


def test_studies_trials_jobs_and_slots_are_told(store: Store, port: int) -> None:
    study, other, old = (new_study(store, name) for name in ("digits", "other", "old"))
    study.started("a")
    study.new("b")
    stopped = study.new("c")
    store.write(stop_candidate, study.lease, stopped.number, "no time")
    other.started("d")
    expire(other)
    store.write(release_lease, old.lease, "complete", {})
    store.write(renew_lease, study.lease, 60.0, {"asks": 3, "ask_s": 1.5, "tells": 6, "tell_s": 0.25})
    with store.transaction() as connection:
        connection.execute(update(Study).where(Study.id == old.id).values(finished_at=Clock(-7200.0)))
    found = told(port)
    assert found["nas_up",] == 1
    assert not any("old" in key for key in found)
    assert found["nas_study_state", "digits", "running"] == found["nas_study_state", "other", "interrupted"] == 1
    assert found["nas_trials", "digits", "running"] == found["nas_trials", "digits", "queued"] == 1
    assert found["nas_trials", "digits", "stopped"] == 1
    assert found["nas_jobs", "digits", "target:local", "running"] == 1
    assert found["nas_jobs", "digits", "target:local", "queued"] == 1
    assert found["nas_jobs", "other", "target:local", "queued"] == 1, "it runs again once the study continues"
    assert found["nas_measuring_slot_busy", "local"] == 1
    assert (found["nas_ask_seconds_count", "digits"], found["nas_ask_seconds_sum", "digits"]) == (3, 1.5)
    assert (found["nas_tell_seconds_count", "digits"], found["nas_tell_seconds_sum", "digits"]) == (6, 0.25)
    assert 50 < found["nas_lease_seconds", "digits"] <= 60
    assert found["nas_lease_seconds", "other"] < 0


def expire(study: Searching) -> None:
    with study.store.transaction() as connection:
        connection.execute(update(Study).where(Study.id == study.id).values(lease_expires_at=Clock(-1.0)))


def test_the_number_of_statements_does_not_grow(store: Store, port: int) -> None:
    counts = []
    for number in range(2):
        study = new_study(store, f"study{number}")
        for candidate in range(3):
            study.new(f"{number}-{candidate}")
        seen: list[str] = []

        def note(*details: object, into: list[str] = seen) -> None:
            into.append(str(details[2]))

        event.listen(store.engine, "before_cursor_execute", note)
        told(port)
        event.remove(store.engine, "before_cursor_execute", note)
        counts.append(sum(text.startswith("SELECT") for text in seen))
    assert counts == [3, 3]


def test_a_port_in_use_is_refused(store: Store, port: int) -> None:
    with pytest.raises(PlanError, match=rf"can't listen on 127.0.0.1, port {port}: .*give another --port"):
        serve(store, "127.0.0.1", port)
