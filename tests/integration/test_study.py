"""Whole studies on real parts, without anything pretended."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session

from nas.latency.protocol.energy import package_energy_uj
from nas.latency.protocol.intervals import derive
from nas.latency.protocol.samples import Samples
from nas.proxies.scoring import score_network
from nas.space import Architecture
from tests.integration.forks import nas
from trials.plans.loading import load_plan
from trials.plans.problem import open_problem
from trials.reporting.study import study_view
from trials.store.models import Candidate, Measurement
from trials.store.read.candidates import candidates_page
from trials.store.read.studies import list_studies
from trials.store.store import Store


@pytest.mark.parametrize(
    "executor",
    [pytest.param("local", marks=pytest.mark.slow), "ray_actors", pytest.param("ray_tune", marks=pytest.mark.slow)],
)
def test_search_to_running_file(executor: str, plan: Callable[..., Path], url: str, tmp_path: Path) -> None:
    """With every executor a study completes, and its best network runs with numpy and onnxruntime alone."""
    path = plan(executor=executor, task={"name": "digits", "image_size": 8}, measure={"audit": 1.0, "max_drift": 9.0})
    said = nas("search", str(path), "--storage", url, "budget.trials=2").stdout
    with study_view(Store(url), "study") as study:
        assert f"study study: hypervolume {study.hypervolume:.3f}" in said
    row = json.loads(
        nas("export", "study", "--best", "--out", str(tmp_path / "out"), "--storage", url, "--json").stdout
    )[0]
    report = json.loads((tmp_path / "out" / "report.json").read_text())
    assert report["scores"]["test"]["accuracy"] == row["test accuracy"]
    ran = subprocess.run([sys.executable, str(tmp_path / "out" / "run.py")], capture_output=True, text=True, check=True)
    assert "answers:" in ran.stdout
    with Session(Store(url).engine) as session:
        purposes = {row.purpose for row in session.scalars(select(Measurement))}
        assert purposes >= {"gate"}
        assert purposes & {"audit", "final"}
        for row in session.scalars(select(Measurement)):
            found = derive(Samples.from_bytes(row.samples), row.conditions["reference_ms"])
            assert found == pytest.approx((row.latency_ms, row.low_ms, row.high_ms))


def test_a_limit_rejects_before_training(plan: Callable[..., Path], url: str) -> None:
    path = plan(limits={"latency_ms": {"max": {"relative_to": "median", "factor": 0.8}}}, budget={"trials": 6})
    nas("search", str(path), "--storage", url)
    with Session(Store(url).engine) as session:
        rows = list(session.scalars(select(Candidate)))
        rejected = [row for row in rows if row.state == "infeasible"]
        assert 0 < len(rejected) < len(rows)
        assert all("over the limit" in (row.reason or "") for row in rejected)
        assert not any(metric.name == "accuracy" for row in rejected for metric in row.metrics)


def test_every_measured_metric_can_be_an_objective_or_a_limit(plan: Callable[..., Path], url: str) -> None:
    path = plan(
        task={"name": "digits", "image_size": 8},
        objectives={"accuracy": "maximize", "latency_p90_ms": "minimize", "recall_of_3": "maximize"},
        limits={"load_ms": {"max": 60_000}, "recall_of_1": {"min": 0}},
        budget={"trials": 2},
        confidence={"remeasure": 1, "revisit_s": 0},
    )
    nas("search", str(path), "--storage", url)
    rows = candidates_page(Store(url), "study").rows
    assert {row.state for row in rows} == {"complete"}
    for row in rows:
        assert list(row.metrics)[:3] == ["accuracy", "latency_p90_ms", "recall_of_3"]
        percentiles = [row.metrics[f"latency_p{percent}_ms"].value for percent in (50, 90, 95, 99)]
        assert percentiles == sorted(percentiles)
        assert row.metrics["load_ms"].value > 0
        assert {"latency_p90_ms", "load_ms"} <= set(row.shown_metrics)
        assert not {"latency_p50_ms", "latency_p99_ms", "energy_mj"} & set(row.shown_metrics)


@pytest.mark.slow
def test_proxies_score_candidates_with_the_weights_that_their_training_starts_from(
    plan: Callable[..., Path], url: str
) -> None:
    """The stored scores are those of the networks that the records of the candidates describe."""
    names = ["naswot", "synflow"]
    path = plan(
        task={"name": "digits", "image_size": 8},
        strategy={"name": "pareto_bo", "n_startup_trials": 2, "proxies": names},
        budget={"trials": 3, "measurements": 3},
        seed=5,
    )
    nas("search", str(path), "--storage", url)
    problem = open_problem(load_plan(path))
    with Session(Store(url).engine) as session:
        candidates = list(session.scalars(select(Candidate)))
        assert len(candidates) >= 3
        for candidate in candidates:
            stored = {metric.name: metric.value for metric in candidate.metrics if metric.name in names}
            network = problem.searched.build(Architecture.from_json(candidate.architecture.definition), 5)
            assert stored == pytest.approx(score_network(network, problem.task, names, 5).values, rel=1e-6)


@pytest.mark.skipif(package_energy_uj() is not None, reason="energy can be read here")
def test_energy_is_refused_where_it_can_not_be_read(plan: Callable[..., Path], url: str) -> None:
    path = plan(objectives={"accuracy": "maximize", "energy_mj": "minimize"})
    done = nas("search", str(path), "--storage", url, check=False)
    assert done.returncode == 2, done.stderr
    assert "target 'local' can't measure energy_mj: the energy counters" in done.stderr
    assert list_studies(Store(url)) == []


@pytest.mark.parametrize(
    ("task", "message"),
    [pytest.param("RaisingDigits", "can't be trained on", marks=pytest.mark.slow), ("NotANumber", "accuracy")],
)
def test_failed_trials_are_records(task: str, message: str, plan: Callable[..., Path], url: str) -> None:
    path = plan(task={"name": f"logged_task:{task}"}, budget={"trials": 2})
    done = nas("search", str(path), "--storage", url, check=False)
    assert (done.returncode, "no trial succeeded" in done.stderr) == (3, True), done.stderr
    with Session(Store(url).engine) as session:
        rows = list(session.scalars(select(Candidate)))
        assert [row.state for row in rows] == ["failed", "failed"]
        assert all(message in (row.reason or "") for row in rows)
        assert all("Traceback" in (row.traceback or "") for row in rows)
    assert not list(Path(Store(url).folder).glob("nas_artifacts/checkpoints/*/*")), "a finished study has checkpoints"
    folder = path.parent / "none" / "under"
    refused = nas("export", "study", "--trial", "0", "--out", str(folder), "--storage", url, check=False)
    assert refused.returncode == 2
    assert "failed" in refused.stderr
    assert not folder.parent.exists()


@pytest.mark.slow
def test_replicates_and_their_random_twins(plan: Callable[..., Path], url: str) -> None:
    path = plan(
        strategy={"name": "tpe"},
        replicate_seeds=[1],
        budget={"trials": 1},
        estimator={"name": "training", "epochs": 1},
    )
    nas("search", str(path), "--storage", url, "--with-baseline", "random")
    rows: list[dict[str, Any]] = json.loads(nas("list", "--storage", url, "--json").stdout)
    assert {(row["study"], row["role"]) for row in rows} == {
        ("study", "search"),
        ("study-random", "baseline"),
        ("study-seed1", "search"),
        ("study-seed1-random", "baseline"),
    }
    assert {row["group"] for row in rows} == {"study"}
    assert all(sum(row["trials"].values()) == 1 for row in rows)


def test_a_task_without_accuracy(plan: Callable[..., Path], url: str) -> None:
    """The engine does not require accuracy: segmentation is searched by its own metric."""
    task = {"name": "shapes_segmentation", "num_train": 128, "num_validation": 64, "num_test": 64}
    path = plan(task=task, estimator={"name": "training", "epochs": 1}, budget={"trials": 2})
    nas("search", str(path), "--storage", url)
    (row,) = json.loads(nas("list", "--storage", url, "--json").stdout)
    assert set(row["best"]) == {"mean_iou", "latency_ms"}
    assert row["trials"] == {"complete": 2}
