from pathlib import Path

import onnx
import pytest

from nas.latency.protocol.references import LADDER, choose_rung, estimated_rungs, write_reference

TIMES = {rung.name: 0.01 * 2**place for place, rung in enumerate(LADDER)}


def test_names_are_stable() -> None:
    assert [rung.name for rung in LADDER] == [f"r{number}" for number in range(15)]


@pytest.mark.parametrize("rung", [LADDER[0], LADDER[4]])
def test_a_reference_is_a_valid_model_and_the_same_bytes_every_time(tmp_path: Path, rung: object) -> None:
    first, second = tmp_path / "a.onnx", tmp_path / "b.onnx"
    for path in (first, second):
        write_reference(rung, path)  # type: ignore[arg-type]
    assert first.read_bytes() == second.read_bytes()
    onnx.checker.check_model(str(first), full_check=True)


def test_the_nearest_rung_is_within_a_factor_of_three_over_the_whole_ladder() -> None:
    for step in range(1, 160):
        time_ms = 0.01 * 1.06**step
        assert 1 / 3 < TIMES[choose_rung(TIMES, time_ms)] / time_ms < 3
    assert choose_rung(TIMES, 1e-6) == "r0"
    assert choose_rung(TIMES, 1e6) == "r14"


def test_rungs_that_were_not_calibrated_are_estimated_from_the_largest_that_was() -> None:
    calibrated = {"r0": 0.01, "r3": 0.5}
    estimated = estimated_rungs(calibrated)
    assert set(estimated) == {rung.name for rung in LADDER}
    assert estimated["r3"] == 0.5
    macs = {rung.name: rung.macs for rung in LADDER}
    assert estimated["r5"] == pytest.approx(0.5 * macs["r5"] / macs["r3"])
