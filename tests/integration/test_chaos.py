"""A study on a cluster of three nodes survives faults of all kinds; a database behind a cut cable is noticed."""

from __future__ import annotations

import importlib
import runpy
import subprocess
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"
#: Reads from a database once a line arrives, and says how long it took to notice that the database does not answer.
CLIENT = """
import sys, time
from nas.errors import StoreError
from trials.store.read.rows import target_rows
from trials.store.store import Store

store = Store(sys.argv[1])
print("open", flush=True)
input()
started = time.monotonic()
try:
    store.read(target_rows)
except StoreError:
    print(time.monotonic() - started)
"""


@pytest.fixture
def chaos(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    monkeypatch.setattr(sys, "path", [str(BENCHMARKS), *sys.path])
    chaos = runpy.run_path(str(BENCHMARKS / "chaos.py"), run_name="benchmark")
    if lack := chaos["missing"]():
        pytest.skip(lack)
    return chaos


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_a_study_survives_a_minute_of_faults(chaos: dict[str, Any], capsys: pytest.CaptureFixture[str]) -> None:
    assert chaos["run_storm"](3, seed=0, trials=40, seconds=60) == []
    assert "injected: " in capsys.readouterr().out


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_a_study_without_faults_leaves_nothing_on_any_node(chaos: dict[str, Any]) -> None:
    assert chaos["run_storm"](3, seed=0, trials=4, seconds=0) == []


@pytest.mark.slow
def test_a_database_behind_a_cut_cable_is_noticed_within_a_minute(chaos: dict[str, Any]) -> None:
    network = importlib.import_module("chaos_parts.cluster").Network()
    with ExitStack() as stack:
        stack.callback(network.close)
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(dir="/tmp")))
        server = chaos["Postgres"](folder, network.host)
        stack.callback(server.stop)
        command = ["ip", "netns", "exec", network.add(1), sys.executable, "-c", CLIENT, server.url]
        client = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        stack.enter_context(client)
        stack.callback(client.kill)
        assert client.stdout is not None
        assert client.stdout.readline() == "open\n"
        network.cut(1)
        said, _ = client.communicate("\n", timeout=200)
    assert 0 < float(said) < 120
