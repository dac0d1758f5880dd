"""A real sparse study with all its companions, from the command line to the report."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session

from tests.integration.forks import nas
from trials.store.models import Candidate, Measurement, Metric, Study
from trials.store.store import Store


@pytest.mark.slow  # each companion has tests of its own
def test_a_sparse_study_with_its_companions(plan: Callable[..., Path], url: str, tmp_path: Path) -> None:
    path = plan(
        policies=[{"name": "sparsity", "densities": [0.25], "schedule": "one_shot"}],
        estimator={"name": "training", "epochs": 1},
        budget={"trials": 2},
        measure={"precision": 0.2, "budget_s": 1.0, "audit": 0.0, "max_drift": 9.0},
    )
    nas("search", str(path), "--storage", url, "--with-twins")
    rows: list[dict[str, Any]] = json.loads(nas("list", "--storage", url, "--json").stdout)
    assert {(row["study"], row["role"], row["incomplete"]) for row in rows} == {
        ("study", "search", ""),
        ("study-dense", "dense", ""),
        ("study-random-mask", "random_mask", ""),
    }
    with Session(Store(url).engine) as session:
        query = select(Study.role, Metric.value).join(Candidate, Candidate.study_id == Study.id)
        query = query.join(Metric, Metric.candidate_id == Candidate.id).where(Metric.name == "density")
        densities = [(role, round(value, 3)) for role, value in session.execute(query)]
        assert {role for role, _ in densities} == {"search", "random_mask"}
        found = {value for role, value in densities if role == "search"}
        assert {value for role, value in densities if role == "random_mask"} <= found
        twins = list(
            session.scalars(
                select(Measurement).where(Measurement.purpose == "twin", Measurement.trust != "quarantined")
            )
        )
        assert len({(twin.candidate_id, twin.structure_hash) for twin in twins}) == len(twins) >= 3
        own = select(Measurement.structure_hash).where(Measurement.purpose != "twin")
        parents = {row for row in session.scalars(own)} & {twin.structure_hash for twin in twins}
        assert parents, "a dense twin must equal its dense parent's file except for the weights"
    page = (
        Path(nas("report", "study", "--out", str(tmp_path / "report"), "--storage", url).stdout.split()[-1])
    ).read_text()
    assert "Against dense parents and random masks" in page
    assert "incomplete" not in page.partition("</h1>")[0].rpartition("<h1>")[2]
    nas("export", "study", "--best", "--out", str(tmp_path / "out"), "--storage", url)
    report = json.loads((tmp_path / "out" / "report.json").read_text())
    (beside,) = report["dense_twin"]
    assert beside["speedup"] == beside["dense_latency_ms"] / beside["latency_ms"]
    assert "Dense twin, ms" in (tmp_path / "out" / "report.html").read_text()
    assert bool(report["beware"]) == (beside["high_ms"] >= beside["dense_low_ms"])
    shown = nas("show", "study", "--storage", url).stdout
    assert "sparse during training, static masks, unstructured" in shown
    assert "speedup" in shown
