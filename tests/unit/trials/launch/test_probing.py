"""Measurements before a study starts, made by jobs that really run on a calibrated target."""

from __future__ import annotations

import statistics
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from nas.errors import PlanError
from nas.space.chooser import PositionChooser
from nas.strategies import Limit
from search_spaces.module import three_layers
from tests.unit.trials.in_process import InProcess
from trials.coordinator.description import describe
from trials.launch import probing
from trials.launch.probing import check_targets, probe, random_networks, resolve_limits
from trials.plans.plan import make_plan
from trials.plans.problem import Problem, open_problem

#: Fewer probes than in real studies.
NUM_PROBES = 3
PLAIN = {"name": "plain_convnet"}
MODULE = {"name": "module", "factory": f"{three_layers.__module__}:{three_layers.__name__}"}


def problem(limits: dict[str, Any] | None = None, space: dict[str, Any] = PLAIN, **keys: Any) -> Problem:
    plan = {"task": {"name": "digits", "image_size": 8}, "space": space, "limits": limits or {}, **keys}
    return open_problem(make_plan({**plan, "measure": {"precision": 0.5, "budget_s": 0.1}}))


@pytest.fixture
def targets(calibrated: dict[str, Any]) -> dict[str, Any]:
    return {"local": calibrated}


@pytest.fixture(autouse=True)
def _few_probes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(probing, "random_networks", partial(random_networks, count=NUM_PROBES))


def test_a_probe_tells_what_a_candidate_would_measure(in_process: InProcess, targets: dict[str, Any]) -> None:
    opened, phases = problem(), list[str]()
    networks = [opened.searched.sample(PositionChooser(position)) for position in (0.0, 1.0)]
    rows = [describe(opened, opened.searched.sample(PositionChooser(position))) for position in (0.0, 1.0)]
    small, large = probe(in_process, opened, targets, networks, phases.append)
    for found, row in ((small, rows[0]), (large, rows[1])):
        assert (found.metrics["parameters", ""], found.metrics["macs", ""]) == (row.parameters, row.macs)
        assert 0 < found.low["latency_ms", "local"] <= found.metrics["latency_ms", "local"]
        assert found.choices == row.definition["choices"]
    assert small.metrics["latency_ms", "local"] < large.metrics["latency_ms", "local"]
    assert phases[0] == "probing limits: 0 of 2 measurements"


def test_a_plan_without_limits_measures_nothing(in_process: InProcess, targets: dict[str, Any]) -> None:
    assert resolve_limits(in_process, problem(), targets) == {}
    assert not in_process.ran


def test_a_limit_that_the_smallest_network_breaks_is_refused(in_process: InProcess, targets: dict[str, Any]) -> None:
    assert resolve_limits(in_process, problem({"macs": {"max": 1e9}}), targets) == {"macs": Limit(max=1e9)}
    with pytest.raises(PlanError, match=r"macs at most 10 can't be met, because the smallest .* takes 976"):
        resolve_limits(in_process, problem({"macs": {"max": 10}}), targets)


def test_a_limit_relative_to_the_median_is_a_multiple_of_that_of_random_networks(
    in_process: InProcess, targets: dict[str, Any]
) -> None:
    opened = problem({"macs": {"max": {"relative_to": "median", "factor": 0.5}}})
    macs = [describe(opened, network).macs for network in random_networks(opened, NUM_PROBES)]
    assert resolve_limits(in_process, opened, targets) == {"macs": Limit(max=0.5 * statistics.median(macs))}
    assert len(in_process.ran) == 1 + NUM_PROBES


def test_a_limit_relative_to_the_original_has_its_number_unless_it_is_a_score(
    in_process: InProcess, targets: dict[str, Any]
) -> None:
    half, same = {"relative_to": "original", "factor": 0.5}, {"relative_to": "original", "factor": 1.0}
    opened = problem({"nonzero_parameters": {"max": half}, "accuracy": {"min": same}}, MODULE, policies=[SPARSE])
    original = opened.untouched()
    assert original is not None
    parameters = describe(opened, original).parameters
    found = resolve_limits(in_process, opened, targets)
    assert found == {"nonzero_parameters": Limit(max=0.5 * parameters), "accuracy": Limit()}


SPARSE = {"name": "sparsity", "densities": [0.25, 0.5, 1.0]}


def test_a_target_is_asked_only_for_metrics_that_not_every_target_can_measure(
    in_process: InProcess, targets: dict[str, Any], tmp_path: Path
) -> None:
    check_targets(in_process, problem({"latency_ms": {"max": 5}}), targets)
    assert not in_process.ran
    check_targets(in_process, problem({"load_ms": {"max": 5}}), targets)
    assert [job.function for job in in_process.ran] == ["trials.jobs.target:canary"]
