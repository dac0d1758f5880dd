"""A server that does not answer yet is waited for; one that answers, in whatever way, is not."""

from __future__ import annotations

import logging
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.conftest import RestartableServer
from trials.store.database.waiting import wait_for_server
from trials.store.store import Store


def test_a_server_that_starts_later_is_waited_for(
    own_server: RestartableServer, caplog: pytest.LogCaptureFixture
) -> None:
    own_server.stop()
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(wait_for_server, own_server.url, 120)
        while not caplog.messages:
            time.sleep(0.01)
        assert not waiting.done()
        own_server.start()
        waiting.result(60)
    Store(own_server.url).close()
    (said,) = caplog.messages
    assert said.endswith("does not answer; trying again for 2 minutes")


def test_waiting_ends(own_server: RestartableServer, caplog: pytest.LogCaptureFixture) -> None:
    own_server.stop()
    wait_for_server(own_server.url, 0.01)
    assert caplog.record_tuples[0][1] == logging.WARNING


@pytest.mark.parametrize(
    "change", [("/postgres", "/nowhere"), ("postgres@", "nobody:wrong@"), ("?options", "?unknown=1&options")]
)
def test_a_server_that_refuses_is_not_waited_for(
    own_server: RestartableServer, caplog: pytest.LogCaptureFixture, change: tuple[str, str]
) -> None:
    wait_for_server(own_server.url.replace(*change), 120)
    assert not caplog.messages


def test_a_file_is_not_waited_for(caplog: pytest.LogCaptureFixture) -> None:
    wait_for_server("sqlite:////nowhere/nas.db", 120)
    assert not caplog.messages
