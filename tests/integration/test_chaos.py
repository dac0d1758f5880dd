"""A study on a cluster of three nodes survives faults of all kinds at random moments."""

from __future__ import annotations

import runpy
import sys
from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_a_study_survives_a_minute_of_faults(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "path", [str(BENCHMARKS), *sys.path])
    chaos = runpy.run_path(str(BENCHMARKS / "chaos.py"), run_name="benchmark")
    if lack := chaos["missing"]():
        pytest.skip(lack)
    assert chaos["run_storm"](3, seed=0, trials=40, seconds=60) == []
    assert "injected: " in capsys.readouterr().out
