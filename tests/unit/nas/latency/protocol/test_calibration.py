from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from nas.latency.process.client import MeasuringProcess
from nas.latency.protocol import calibration
from nas.latency.protocol.measure import SCREEN
from nas.latency.protocol.references import LADDER, write_reference
from nas.latency.runtimes import Session, SessionOptions
from nas.latency.runtimes.onnxruntime import OnnxRuntime
from nas.latency.targets import TargetSpec


@contextmanager
def no_wait() -> Iterator[float]:
    yield 0.0


def test_the_ladder_is_timed_as_far_as_time_allows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(calibration, "BUDGET_S", 0.1)
    monkeypatch.setattr(calibration, "SLOWEST_S", 1e-4)
    opened: list[str] = []

    def open_reference(rung: str) -> Session:
        opened.append(rung)
        path = tmp_path / rung
        write_reference(next(item for item in LADDER if item.name == rung), path)
        return OnnxRuntime().open(path, SessionOptions())

    names = ["r0", "r8", "r9"]
    references = calibration.calibrate(names, open_reference, no_wait, "process")
    assert list(references) == ["r0"]
    assert references["r0"] > 0
    assert opened == [
        "r0",
        "r8",
        "r0",
        "r0",
    ]  # r8 proves too slow, so r9 is never tried; each pass has fresh sessions


def test_a_calibrated_target_measures_its_own_references(tmp_path: Path) -> None:
    with MeasuringProcess(TargetSpec("local")) as process:
        target = process.calibrate()
        assert {"r0", "r1", "r2", "r3"} <= set(target.references)
        assert target.description["runtime_version"]
        write_reference(LADDER[3], tmp_path / "model.onnx")
        latency = process.measure(tmp_path / "model.onnx", target, effort=SCREEN)
    assert latency.conditions["reference_ms"] == target.references[latency.conditions["rung"]]
