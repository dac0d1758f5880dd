from typing import Any

import pytest

from nas.errors import JobError, PlanError
from nas.space.chooser import PositionChooser
from nas.strategies import Limit
from tests.unit.trials.pretending import latency
from trials.coordinator.pipeline import OpenTrial, after, broken_limit
from trials.jobs.metrics import check_complete, needed_metrics, target_metrics
from trials.launch.probing import Probe, check_feasible, relative_bounds
from trials.plans.metrics import COUNTED
from trials.plans.plan import make_plan
from trials.plans.problem import Problem, open_problem
from trials.reporting.labels import label, number
from trials.store.records import MetricValue
from trials.store.target_metrics import TARGET_METRICS, TargetMetric

PERCENTILES = {"latency_p50_ms": (1.0, 0.9, 1.1), "latency_p90_ms": (2.0, 1.8, None)}
LOADS_MS = [3.0, 5.0, 1.0, 2.0, 4.0, 6.0]


def problem(**parts: Any) -> Problem:
    targets = [{"name": name, "runtime": "onnxruntime"} for name in ("here", "pi")]
    plan = {"task": {"name": "digits", "image_size": 8}, "space": {"name": "plain_convnet"}, "targets": targets}
    return open_problem(make_plan({**plan, **parts}))


def measured(**conditions: Any) -> dict[str, Any]:
    found = latency(1.0)
    return {**found, "percentiles": PERCENTILES, "conditions": {**found["conditions"], **conditions}}


def test_what_a_measurement_tells_becomes_metrics_of_its_target() -> None:
    found = {item.name: item for item in target_metrics("pi", measured(load_ms=3.5, loads_ms=LOADS_MS, energy_mj=7.0))}
    assert found["latency_p90_ms"] == MetricValue("latency_p90_ms", "pi", 2.0, 1.8, None)
    assert found["load_ms"] == MetricValue("load_ms", "pi", 3.5, 1.0, 6.0)
    assert found["energy_mj"] == MetricValue("energy_mj", "pi", 7.0)
    assert "peak_memory_bytes" not in found


def test_few_load_times_have_no_interval_and_old_measurements_no_load_time() -> None:
    (load,) = (item for item in target_metrics("pi", measured(load_ms=1, loads_ms=[1])) if item.name == "load_ms")
    assert (load.low, load.high) == (None, None)
    assert {item.name for item in target_metrics("pi", latency(1.0))} == {"latency_ms"}


def test_metrics_named_for_a_target_are_required_there() -> None:
    named = problem(
        objectives={"accuracy": "maximize", "latency_p90_ms@pi": "minimize"},
        limits={"load_ms": {"max": 5}, "recall_of_3": {"min": 0.1}, "energy_mj@pi": {"max": 1}},
    )
    assert needed_metrics(named, "here") == ["load_ms"]
    assert needed_metrics(named, "pi") == ["latency_p90_ms", "energy_mj"]
    check_complete("here", measured(load_ms=1.0), ["load_ms", "latency_p50_ms"])
    with pytest.raises(JobError, match="target 'pi' did not report energy_mj: the energy counters"):
        check_complete("pi", measured(energy_mj=None), ["energy_mj"])


def test_a_percentile_ends_a_candidate_only_by_the_better_end_of_its_interval() -> None:
    opened = problem(limits={"latency_p90_ms": {"max": 1.9}})

    def state(limit: float) -> str | None:
        trial = OpenTrial(1, 0, "i", {})
        result = {"metrics": {}, "structure_hash": "s", "latency": {**measured(), "samples": ""}}
        return after(opened, {"latency_p90_ms": Limit(max=limit)}, trial, ("gate", "here"), result).candidate_state

    assert (state(1.9), state(1.7)) == (None, "infeasible")


def test_a_limit_is_impossible_only_by_the_better_end_of_the_smallest() -> None:
    opened = problem()
    key = ("latency_p90_ms", "here")
    smallest = Probe({}, {key: 2.0}, {key: 1.8})
    check_feasible(opened, {"latency_p90_ms": Limit(max=1.9)}, smallest)
    with pytest.raises(PlanError, match=r"latency_p90_ms at most 1\.7 can't be met"):
        check_feasible(opened, {"latency_p90_ms": Limit(max=1.7)}, smallest)


def test_limits_relative_to_the_median_know_every_metric_of_a_target() -> None:
    opened = problem(limits={"load_ms@pi": {"max": {"relative_to": "median", "factor": 2.0}}})
    probes = [Probe({}, {("load_ms", "pi"): value}) for value in (1.0, 2.0, 9.0)]
    assert relative_bounds(opened, probes, None) == {"load_ms@pi": Limit(max=4.0)}


def test_scores_of_classes_are_objectives_and_limits_after_training_alone() -> None:
    opened = problem(objectives={"recall_of_3": "maximize", "latency_ms": "minimize"})
    recall = {("recall_of_3", ""): MetricValue("recall_of_3", "", 0.5, 0.4, 0.6)}
    assert broken_limit(opened, {"recall_of_3": Limit(min=0.55)}, recall) is None
    assert broken_limit(opened, {"recall_of_3": Limit(min=0.7)}, recall) == "recall_of_3 0.5 is under the limit 0.7"
    with pytest.raises(PlanError, match="recall_of_3 is relative to the median, but it is only known after"):
        problem(limits={"recall_of_3": {"min": {"relative_to": "median", "factor": 0.9}}})


def test_a_wrong_name_is_answered_with_the_right_one() -> None:
    with pytest.raises(PlanError, match=r"no metric 'latency_p9_ms'; did you mean 'latency_p9.*load_ms@pi"):
        problem(limits={"latency_p9_ms": {"max": 1}})


def test_a_metric_of_a_target_is_one_entry(monkeypatch: pytest.MonkeyPatch) -> None:
    first = TargetMetric(lambda latency: (latency["conditions"].get("first_ms"), None, None), why_not="it is cold")
    monkeypatch.setitem(TARGET_METRICS, "first_ms", first)
    named = problem(limits={"first_ms@pi": {"max": 5}})
    assert needed_metrics(named, "pi") == ["first_ms"]
    assert MetricValue("first_ms", "pi", 2.0) in target_metrics("pi", measured(first_ms=2.0))
    with pytest.raises(JobError, match="did not report first_ms: it is cold"):
        check_complete("pi", measured(), ["first_ms"])


def test_a_counted_metric_is_one_entry(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(COUNTED, "layers", lambda graph, network: len(graph.nodes))
    named = problem(limits={"layers": {"max": 50}})
    network = named.searched.build(named.searched.sample(PositionChooser(0)).architecture, seed=0)
    assert named.static_metrics(network)["layers"] == len(named.trace(network).nodes)


def test_labels_have_units() -> None:
    assert label("latency_p90_ms@pi") == "Latency p90 at pi (ms)"
    assert label("energy_mj") == "Energy (mJ)"
    assert number("energy_mj", 1.5) == "1.5 mJ"
