from __future__ import annotations

from pathlib import Path

import pytest

from nas.errors import MeasureError, PlanError
from nas.latency.protocol.measure import Latency
from nas.latency.targets import TargetSpec
from trials.targets.side_by_side import RuntimeResult, every_runtime, side_by_side, specs_of, table


def test_runtimes_are_asked_for_with_their_parameters() -> None:
    plain, compiled = specs_of(["torch", "torch,compile=true,device=cpu", "torch"], threads=2, batch=3)
    assert (plain.runtime, plain.parameters, plain.threads, plain.batch) == ("torch", {}, 2, 3)
    assert (compiled.runtime, compiled.parameters) == ("torch", {"compile": True, "device": "cpu"})
    with pytest.raises(PlanError, match="torch,compile=true"):
        specs_of(["torch,compile"], threads=1, batch=1)
    assert every_runtime()[0] == "onnxruntime"


def latency(latency_ms: float) -> Latency:
    conditions = {"runtime_version": "1"}
    return Latency(latency_ms, 0.9 * latency_ms, 1.1 * latency_ms, None, False, "min_ratio", conditions, b"")


def test_ratios_are_to_the_first_that_ran_the_file_and_the_others_say_why_not() -> None:
    specs = specs_of(["openvino", "onnxruntime", "torch"], threads=1, batch=1)
    found = [
        RuntimeResult(Path("x.onnx"), specs[0], None, "no such\n   op"),
        RuntimeResult(Path("x.onnx"), specs[1], latency(2.0)),
        RuntimeResult(Path("x.onnx"), specs[2], latency(3.0)),
    ]
    rows = table(found)
    assert len({tuple(row) for row in rows}) == 1
    assert [row["ratio"] for row in rows] == [None, 1.0, 1.5]
    assert [row["why not"] for row in rows] == ["no such op", "", ""]
    assert found[0].to_json(latency(2.0))["error"] == "no such\n   op"
    assert found[2].to_json(latency(2.0))["ratio_to_first"] == 1.5


def test_a_runtime_that_can_not_start_is_a_row_and_no_end(tmp_path: Path) -> None:
    (path := tmp_path / "x.onnx").write_bytes(b"")
    spec = TargetSpec("here", "command", parameters={"program": "none"})
    (found,) = side_by_side(path, [spec])
    assert found.latency is None
    assert "known: benchmark_app" in found.error
    with pytest.raises(MeasureError, match="there is no file"):
        next(side_by_side(tmp_path / "none.onnx", [spec]))
