"""The best of a rung, and the score that a rung predicts for the end."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nas.strategies.pareto import pareto_front
from trials.coordinator.pipeline import Metrics
from trials.coordinator.rungs import Rungs, best
from trials.plans.plan import make_plan
from trials.plans.problem import Problem, open_problem
from trials.store.records import MetricValue

WAYS = ["maximize", "minimize"]


@pytest.fixture(scope="module")
def halving_problem() -> Problem:
    plan = {"task": {"name": "digits", "image_size": 8}, "space": "plain_convnet", "executor": "local"}
    return open_problem(make_plan({**plan, "estimator": {"name": "training", "epochs": 9, "halving": {}}}))


def metrics(latency_ms: float, early: float, middle: float | None = None, final: float | None = None) -> Metrics:
    values = {"accuracy_at_epoch_1": early, "accuracy_at_epoch_3": middle, "accuracy": final}
    scores = {(name, ""): MetricValue(name, "", value) for name, value in values.items() if value is not None}
    return {**scores, ("latency_ms", "local"): MetricValue("latency_ms", "local", latency_ms)}


def test_the_front_comes_first_and_then_the_next_front() -> None:
    points = [(0.5, 3.0), (0.9, 3.0), (0.6, 1.0), (0.5, 1.5)]
    assert set(best(points, WAYS, 2)) == {1, 2}
    assert best(points, WAYS, 3)[2] == 3


def test_within_a_front_the_contribution_to_the_hypervolume_decides() -> None:
    """The middle one is close to its neighbours; the reference is 10 % of the range beyond the worst values."""
    points = [(0.9, 3.0), (0.62, 2.0), (0.6, 1.0)]
    assert best(points, WAYS, 2) == [0, 2]


def test_one_objective_is_ranked_by_value_and_equal_points_by_age() -> None:
    assert best([(0.3,), (0.9,), (0.5,), (0.9,)], ["maximize"], 3) == [1, 3, 2]


@given(st.lists(st.tuples(*[st.integers(0, 5)] * 3), min_size=1, max_size=12), st.data())
def test_nothing_worse_is_taken_before_something_better(points: list[tuple[int, ...]], data: st.DataObject) -> None:
    count = data.draw(st.integers(0, len(points)))
    ways = ["maximize", "minimize", "maximize"]
    chosen = best(points, ways, count)
    assert len(set(chosen)) == len(chosen) == count
    left = [place for place in range(len(points)) if place not in chosen]
    for place in left:
        for other in chosen:
            both = np.array([points[place], points[other]], dtype=float)
            assert 1 in pareto_front(both, ways), "a point that was left out dominates a chosen one"


def test_higher_rungs_come_first_and_waiting_ones_only(halving_problem: Problem) -> None:
    """Each candidate is better than the one before it."""
    rungs = Rungs(halving_problem)
    for number in range(6):
        rungs.record(number, "paused", metrics(9.0 - number, 0.5 + 0.05 * number))
    low = dict.fromkeys(range(6), 1)
    for number in (1, 2, 3):
        rungs.record(number, "paused", metrics(9.0 - number, 0.5 + 0.05 * number, 0.7 + 0.05 * number))
    assert rungs.promotion(low | {3: 3}, last=False) == 3
    assert rungs.promotion(low, last=False) == 5
    del low[5]
    assert rungs.promotion(low, last=False) == 4
    del low[4]
    assert rungs.promotion(low, last=False) is None


def test_once_no_candidate_can_be_added_at_least_one_training_is_finished(halving_problem: Problem) -> None:
    rungs = Rungs(halving_problem)
    for number in range(4):
        rungs.record(number, "paused", metrics(9.0 - number, 0.5 + 0.05 * number))
    waiting = dict.fromkeys(range(3), 1)
    assert rungs.promotion(waiting, last=False) is None
    assert rungs.promotion(waiting, last=True) == 2
    assert rungs.promotion({0: 1, 1: 1}, last=True) is None


def test_an_infeasible_candidate_competes_with_no_other(halving_problem: Problem) -> None:
    rungs = Rungs(halving_problem)
    for number in range(3):
        rungs.record(number, "paused", metrics(1.0, 0.5 + 0.1 * number))
    assert rungs.promotion(dict.fromkeys(range(3), 1), last=False) == 2
    rungs.record(2, "infeasible", metrics(1.0, 0.7))
    assert rungs.promotion(dict.fromkeys(range(3), 1), last=False) is None


def test_a_final_score_is_expected_at_the_mean_gap_from_two_finished_ones_on(halving_problem: Problem) -> None:
    rungs = Rungs(halving_problem)
    waiting = metrics(1.0, 0.4, 0.6)
    rungs.record(0, "complete", metrics(1.0, 0.5, 0.7, 0.8))
    assert rungs.expected(waiting) == {}
    rungs.record(1, "complete", metrics(1.0, 0.5, 0.7, 0.9))
    value, spread = rungs.expected(waiting)["accuracy"]
    assert (value, spread) == (pytest.approx(0.75), pytest.approx(0.0707, abs=1e-4))
    value, _ = rungs.expected(metrics(1.0, 0.4))["accuracy"]
    assert value == pytest.approx(0.75)
    assert rungs.expected(metrics(1.0, 0.4)).keys() == {"accuracy"}
    assert rungs.expected({("latency_ms", "local"): MetricValue("latency_ms", "local", 1.0)}) == {}
