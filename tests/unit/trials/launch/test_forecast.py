"""The forecast of what a plan costs, measured by jobs that really run on a calibrated target."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from nas.errors import PlanError
from nas.export.weights import save_weights
from nas.strategies import Limit
from search_spaces.module import three_layers
from tests.unit.trials.in_process import InProcess
from trials.launch import forecast as forecasts
from trials.launch.forecast import BYTES_PER_WEIGHT, Forecast, measured_forecast
from trials.launch.probing import random_networks
from trials.plans.plan import make_plan
from trials.plans.problem import Problem, open_problem
from trials.plans.retention import RETENTIONS

#: Fewer probes than in real studies.
NUM_PROBES = 3
TRIALS = 40
#: A small space: one network, some of whose weights may be pruned.
MODULE = {"name": "module", "factory": f"{three_layers.__module__}:{three_layers.__name__}"}
SPARSE = {
    "name": "sparsity",
    "densities": [0.5, 0.6, 0.7, 0.8, 0.9, 1.0],
    "patterns": ["unstructured"],
}


def problem(**keys: Any) -> Problem:
    plan = {
        "task": {"name": "digits", "image_size": 8},
        "space": MODULE,
        "policies": [SPARSE],
        "measure": {"precision": 0.5, "budget_s": 0.1},
        "estimator": {"name": "training", "epochs": 2, "batch_size": 1024},
        "budget": {"trials": TRIALS},
    }
    return open_problem(make_plan({**plan, **keys}))


@pytest.fixture(autouse=True)
def _few_probes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(forecasts, "random_networks", partial(random_networks, count=NUM_PROBES))


def by_name(found: Forecast) -> dict[str, dict[str, Any]]:
    return {row["network"]: row for row in found.networks}


def test_halving_costs_less_and_is_mentioned(in_process: InProcess) -> None:
    """All 40 trainings have 1 epoch of 3; a third of them has all."""
    estimator = {"name": "training", "epochs": 3, "batch_size": 1024, "halving": {"first_epochs": 1}}
    found = measured_forecast(problem(estimator=estimator), in_process)
    assert found.halving == "halving: trainings are compared after 1 of 3 epochs; about 56% of all epochs are trained"
    assert found.halving in found.remarks
    full = measured_forecast(problem(), in_process)
    assert full.halving is None
    assert found.disk_mb > full.disk_mb, "checkpoints of waiting trainings take space"


def test_a_forecast_shows_typical_networks_and_what_the_budget_comes_to(in_process: InProcess) -> None:
    found = measured_forecast(problem(), in_process)
    rows = by_name(found)
    assert list(rows) == ["original", "smallest", "median", "largest"]
    assert rows["smallest"]["nonzero_parameters"] < rows["median"]["nonzero_parameters"]
    assert rows["original"]["nonzero_parameters"] == rows["largest"]["nonzero_parameters"]
    assert "accuracy" not in rows["original"], "a metric of training needs a training"
    assert rows["median"]["latency_ms@local"] > 0
    assert "latency_p90_ms@local" not in rows["median"], "no objective is a latency"
    assert found.size == f"{len(SPARSE['densities'])} networks"
    assert (found.limits, found.feasible_share) == ({}, 1.0)
    kept = RETENTIONS["front"].expected(TRIALS)
    assert found.disk_mb == pytest.approx(kept * 2 * BYTES_PER_WEIGHT * rows["median"]["parameters"] / 1e6)
    assert found.hours > 0
    assert found.data is not None
    assert json.loads(json.dumps(found.to_json()))["networks"] == found.networks
    assert found.remarks[0] == "limits: none"
    (doubt,) = found.doubts
    assert doubt.startswith("too short: each candidate is trained for 2 optimiser steps only")
    assert doubt in found.remarks


@pytest.mark.parametrize("measurements", [0, 100])
def test_a_limit_leaves_its_share_of_the_space_and_of_the_trainings(measurements: int, in_process: InProcess) -> None:
    """If rejected candidates count as measurements, the budget of trials is trained all the same."""
    budget = {"trials": TRIALS, "measurements": measurements}
    opened = problem(limits={"density": {"max": 0.75}}, artifacts={"retention": "all"}, seed=1, budget=budget)
    densities = [network.account()["density"] for network in random_networks(opened, NUM_PROBES)]
    share = sum(density <= 0.75 for density in densities) / NUM_PROBES
    assert 0 < share < 1, "choose another seed"
    found = measured_forecast(opened, in_process)
    assert (found.limits, found.feasible_share) == ({"density": Limit(max=0.75)}, share)
    per_trial = 2 * BYTES_PER_WEIGHT * by_name(found)["median"]["parameters"] / 1e6
    assert found.disk_mb == pytest.approx((1.0 if measurements else share) * TRIALS * per_trial)


def test_a_limit_that_nobody_meets_is_refused(in_process: InProcess) -> None:
    with pytest.raises(PlanError, match="limits: parameters at most 10 can't be met"):
        measured_forecast(problem(limits={"parameters": {"max": 10}}), in_process)


def test_an_original_whose_weights_are_complete_is_scored(in_process: InProcess, tmp_path: Path) -> None:
    save_weights(three_layers(10, 1), tmp_path / "mine.safetensors")
    found = measured_forecast(problem(space={**MODULE, "weights": str(tmp_path / "mine.safetensors")}), in_process)
    assert 0 <= by_name(found)["original"]["accuracy"] <= 1
    assert in_process.ran[-1].function == "trials.jobs.candidate:score"
