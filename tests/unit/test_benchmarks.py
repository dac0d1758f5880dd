"""Benchmarks are run by hand; these tests check that the benchmarks still run and find what they measure."""

from __future__ import annotations

import io
import pickle
import runpy
import sys
from pathlib import Path

import pytest

from trials.store.read.studies import list_studies
from trials.store.store import Store

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"


@pytest.mark.parametrize("path", sorted(BENCHMARKS.glob("*.py")), ids=lambda path: path.stem)
def test_a_benchmark_finds_what_it_measures(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "path", [str(BENCHMARKS), *sys.path])
    assert runpy.run_path(str(path), run_name="benchmark")["__doc__"]


def test_nothing_but_plain_values_is_unpickled() -> None:
    unpickler = runpy.run_path(str(BENCHMARKS / "convert_nas_bench_201.py"), run_name="benchmark")["PlainUnpickler"]
    plain = {"421211": {"val_acc": [51.88, 53.08]}}
    assert unpickler(io.BytesIO(pickle.dumps(plain))).load() == plain
    with pytest.raises(pickle.UnpicklingError, match="pathlib"):
        unpickler(io.BytesIO(pickle.dumps(BENCHMARKS))).load()


@pytest.mark.slow
def test_a_study_survives_the_death_of_its_measuring_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "path", [str(BENCHMARKS), *sys.path])
    chaos = runpy.run_path(str(BENCHMARKS / "chaos.py"), run_name="benchmark")
    assert chaos["run"]("measuring-process", "local") == []


def test_the_engine_runs_jobs_that_do_nothing(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(sys, "path", [str(BENCHMARKS), *sys.path])
    engine = runpy.run_path(str(BENCHMARKS / "engine.py"), run_name="benchmark")
    engine["new_study"](url := f"sqlite:///{tmp_path}/nas.db", 2, "random")
    row = engine["throughput"]("local", "random", 3, url, stored=2)
    assert row["ms_per_trial"] > 0
    (study,) = list_studies(Store(url))
    assert study.counts == {"complete": 5}
