import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from nas.errors import MeasureError, UnavailableError
from nas.latency.machine.affinity import measuring_core
from nas.latency.process.client import MeasuringProcess
from nas.latency.protocol.intervals import Derived, derive
from nas.latency.protocol.measure import SCREEN, Effort
from nas.latency.protocol.references import LADDER, write_reference
from nas.latency.protocol.samples import Samples
from nas.latency.targets import Target, TargetSpec

QUICK = Effort(sessions=3, max_sessions=3, visits=3, precision=0.5, budget_s=5)
#: Times do not matter here, so nothing is calibrated.
REFERENCES = {rung.name: 0.01 * 2**place for place, rung in enumerate(LADDER)}


def target_of(process: MeasuringProcess) -> Target:
    return Target(process.spec, REFERENCES, {})


@pytest.fixture(scope="module")
def process() -> Iterator[MeasuringProcess]:
    with MeasuringProcess(TargetSpec("local")) as started:
        yield started


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("models") / "model.onnx"
    write_reference(LADDER[2], path)
    return path


@pytest.fixture
def crashing(monkeypatch: pytest.MonkeyPatch) -> Iterator[MeasuringProcess]:
    monkeypatch.syspath_prepend(str(Path(__file__).parent))
    with MeasuringProcess(TargetSpec("mine", runtime="crashing_runtime:Crashing")) as started:
        yield started


def test_a_model_is_measured_with_everything_it_is_a_statement_about(process: MeasuringProcess, model: Path) -> None:
    progress: list[Derived] = []
    latency = process.measure(model, target_of(process), effort=QUICK, on_progress=progress.append)
    assert len(progress) == 3
    assert progress[-1] == (latency.latency_ms, latency.low_ms, latency.high_ms)
    assert 0 < latency.low_ms < latency.latency_ms < latency.high_ms
    conditions = latency.conditions
    assert derive(Samples.from_bytes(latency.samples), conditions["reference_ms"]) == progress[-1]
    assert conditions["core"] == measuring_core()
    expected = {"rung", "reference_ms", "threads", "batch", "core", "runtime", "runtime_version", "protocol"}
    expected |= {"flags", "processor", "sessions", "bursts", "runs", "discarded_runs", "load", "statistic"}
    assert expected <= set(conditions)
    json.dumps(conditions)


def test_every_measurement_is_made_anew(process: MeasuringProcess, model: Path) -> None:
    first, second = (process.measure(model, target_of(process), effort=SCREEN) for _ in range(2))
    assert first.samples != second.samples


def test_it_never_imports_torch_or_ray(process: MeasuringProcess, model: Path) -> None:
    process.measure(model, target_of(process), effort=QUICK)
    modules = set(process.modules())
    assert "onnxruntime" in modules
    assert not {"torch", "ray", "optuna", "sqlalchemy", "streamlit"} & modules


def test_over_a_limit_it_stops_after_one_session(process: MeasuringProcess, model: Path) -> None:
    latency = process.measure(model, target_of(process), effort=QUICK, reject_above_ms=1e-6)
    assert latency.rejected
    assert latency.conditions["sessions"] == 1


def test_a_slow_candidate_extends_the_ladder_beyond_what_was_calibrated(
    process: MeasuringProcess, tmp_path: Path
) -> None:
    write_reference(LADDER[5], tmp_path / "slow.onnx")
    few = replace(target_of(process), references={"r0": 0.01, "r1": 0.02})
    latency = process.measure(tmp_path / "slow.onnx", few, effort=QUICK)
    assert latency.conditions["rung"] not in few.references
    assert latency.conditions["reference_ms"] > 0.02


def test_garbage_is_refused_and_the_process_stays(process: MeasuringProcess, model: Path) -> None:
    process.modules()
    before = process.pid
    garbage = model.with_name("garbage.onnx")
    garbage.write_text("garbage")
    with pytest.raises(MeasureError, match=r"garbage\.onnx"):
        process.measure(garbage, target_of(process), effort=QUICK)
    with pytest.raises(MeasureError, match="there is no file"):
        process.measure(model.with_name("absent.onnx"), target_of(process), effort=QUICK)
    process.measure(model, target_of(process), effort=SCREEN)
    assert process.pid == before


def test_another_targets_process_is_refused(process: MeasuringProcess, model: Path) -> None:
    other = Target(TargetSpec("other"), REFERENCES, {})
    with pytest.raises(MeasureError, match="measures for"):
        process.measure(model, other, effort=QUICK)


def test_a_model_that_hangs_the_runtime_is_given_up(
    crashing: MeasuringProcess, model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bad = model.with_name("hang.onnx")
    bad.write_bytes(model.read_bytes())
    crashing.modules()
    pid = crashing.pid
    assert pid is not None
    with monkeypatch.context() as patch:
        patch.setattr(crashing.process, "timeout_s", 0.3)
        with pytest.raises(MeasureError, match=r"within 0\.3 s"):
            crashing.measure(bad, target_of(crashing), effort=QUICK)
    assert not _alive(pid)
    assert crashing.measure(model, target_of(crashing), effort=QUICK).latency_ms > 0


@pytest.mark.parametrize(
    ("stem", "message"),
    [("segfault", "SIGSEGV"), ("raise", 'KeyError: "a runtime\'s own bug"')],
)
def test_after_a_model_that_breaks_the_runtime_the_next_is_measured(
    crashing: MeasuringProcess, model: Path, stem: str, message: str
) -> None:
    bad = model.with_name(f"{stem}.onnx")
    bad.write_bytes(model.read_bytes())
    with pytest.raises(MeasureError, match=message):
        crashing.measure(bad, target_of(crashing), effort=QUICK)
    assert crashing.measure(model, target_of(crashing), effort=QUICK).latency_ms > 0


def test_what_a_runtime_prints_does_not_get_among_the_answers(crashing: MeasuringProcess, model: Path) -> None:
    talkative = model.with_name("print.onnx")
    talkative.write_bytes(model.read_bytes())
    assert crashing.measure(talkative, target_of(crashing), effort=QUICK).latency_ms > 0


def test_a_killed_process_is_replaced(process: MeasuringProcess, model: Path) -> None:
    process.modules()
    assert process.pid is not None
    os.kill(process.pid, signal.SIGKILL)
    with pytest.raises(UnavailableError, match="killed from outside by SIGKILL"):
        process.measure(model, target_of(process), effort=QUICK)
    assert process.measure(model, target_of(process), effort=QUICK).latency_ms > 0


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        (TargetSpec("a", core=4000), "core 4000 is not available"),
        (TargetSpec("a", threads=1000), "threads to at most"),
        (TargetSpec("a", runtime="onnxruntim"), "did you mean 'onnxruntime'"),
        (TargetSpec("a", runtime="no_such_module:Runtime"), "no_such_module"),
    ],
)
def test_a_target_that_cannot_be_is_refused_at_each_request(spec: TargetSpec, message: str) -> None:
    with MeasuringProcess(spec) as started:
        for _ in range(2):
            with pytest.raises(MeasureError, match=message):
                started.modules()
        assert started.pid is None


def test_closing_ends_the_process_and_is_harmless_twice() -> None:
    started = MeasuringProcess(TargetSpec("local"))
    started.modules()
    pid = started.pid
    started.close()
    started.close()
    assert pid is not None
    assert not _alive(pid)


PARENT = """
import multiprocessing, os, time
from nas.latency.process.client import MeasuringProcess
from nas.latency.targets import TargetSpec
process = MeasuringProcess(TargetSpec("local"))
process.modules()
if os.fork() == 0:  # a sibling that inherits the pipe
    time.sleep(30)
    os._exit(0)
print(process.pid, flush=True)
time.sleep(60)
"""


def test_it_dies_with_its_parent_even_if_a_sibling_holds_the_pipe() -> None:
    with subprocess.Popen([sys.executable, "-c", PARENT], stdout=subprocess.PIPE, start_new_session=True) as parent:
        try:
            assert parent.stdout is not None
            pid = int(parent.stdout.readline())
            assert _alive(pid)
            os.kill(parent.pid, signal.SIGKILL)
            deadline = time.monotonic() + 20
            while _alive(pid) and time.monotonic() < deadline:
                time.sleep(0.05)
            assert not _alive(pid)
        finally:
            os.killpg(parent.pid, signal.SIGKILL)


def _alive(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return False
    return state != "Z"
