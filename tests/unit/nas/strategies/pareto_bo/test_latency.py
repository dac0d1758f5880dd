"""Predicted latencies: transfer from other targets, and random candidates that keep a limit."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pytest
from scipy.stats import spearmanr

from nas.space.chooser import Chooser, RandomChooser
from nas.strategies import FEATURES, OTHER_TARGET, PREDICTED, Goal, Limit, Observation, Suggestion
from nas.strategies.pareto_bo import ParetoBoStrategy
from nas.strategies.pareto_bo.codes import Coded
from nas.strategies.pareto_bo.latency_predictor import LatencyPredictor, MeasuredNetwork
from nas.strategies.pareto_bo.model import Model

WIDTHS = (1, 2, 3, 4, 5, 6)


def latency_ms(answers: Mapping[str, object]) -> float:
    """A product of table entries, so that few measurements hardly tell it."""
    tables = np.random.default_rng(5).uniform(0.5, 2.5, size=(6, 6))
    return float(np.prod([tables[place, WIDTHS.index(answers[f"w{place}"])] for place in range(6)]))  # type: ignore[arg-type]


def build(chooser: Chooser) -> float:
    return latency_ms({f"w{place}": chooser.choose(f"w{place}", WIDTHS) for place in range(6)})


def suggested(seed: int) -> tuple[Suggestion, float]:
    chooser = RandomChooser(seed)
    built = build(chooser)
    return Suggestion.from_chooser(seed, chooser), built


def rank(elsewhere: Mapping[str, float] | None, noise: float) -> float:
    """Rank correlation of 200 predictions from 10 measurements; other targets are ``noise`` away from a power law."""
    generator = np.random.default_rng(1)
    networks = []
    for seed in range(210):
        suggestion, true = suggested(seed)
        others = {
            f"{OTHER_TARGET}{name}": float(true**power * np.exp(noise * generator.standard_normal()))
            for name, power in (elsewhere or {}).items()
        }
        networks.append((Suggestion(0, suggestion.questions, suggestion.answers, {FEATURES: others}), others, true))
    predictor = LatencyPredictor([MeasuredNetwork(item, true) for item, _, true in networks[:10]])
    found = predictor.predict([item for item, _, _ in networks[10:]], [others for _, others, _ in networks[10:]])
    return float(spearmanr(found[:, 0], [true for _, _, true in networks[10:]]).statistic)


def test_latencies_on_other_targets_replace_measurements() -> None:
    alone = rank(None, 0.0)
    assert alone < 0.7
    assert rank({"pi": 0.7}, 0.1) > 0.95
    assert rank({"pi": 0.7, "phone": 1.3}, 0.3) > 0.93


def test_unrelated_targets_do_no_harm() -> None:
    assert rank({"pi": 0.0, "phone": 0.0}, 1.0) == pytest.approx(rank(None, 0.0), abs=0.02)


def test_networks_that_lack_a_latency_get_the_mean() -> None:
    pairs = [suggested(seed) for seed in range(30)]
    features = [{f"{OTHER_TARGET}pi": true} if place % 2 else {} for place, (_, true) in enumerate(pairs)]
    predictor = LatencyPredictor(
        [
            MeasuredNetwork(Suggestion(item.number, item.questions, item.answers, {FEATURES: own}), true)
            for (item, true), own in zip(pairs, features, strict=True)
        ]
    )
    (suggestion, true), found = suggested(99), []
    for own in ({}, {f"{OTHER_TARGET}pi": true}):
        value, low, high = predictor.predict([suggestion], [own])[0]
        assert low < value < high
        found.append(abs(np.log(value / true)))
    assert found[1] < found[0]


def test_latencies_on_other_targets_tell_costs_and_not_scores() -> None:
    """Here accuracy and latency are both proportional to the latency elsewhere; only the latency learns from it."""
    observations = []
    for seed in range(20):
        suggestion, true = suggested(seed)
        state = {FEATURES: {f"{OTHER_TARGET}pi": true}}
        suggestion = Suggestion(seed, suggestion.questions, suggestion.answers, state)
        observations.append(Observation(suggestion, "complete", {"accuracy": true, "latency_ms": 2 * true}))
    goal = Goal({"accuracy": "maximize", "latency_ms": "minimize"}, {})
    model = Model(goal, Coded(observations[0].suggestion.questions), observations, {})
    weights = {name: found.values[-2] for name, (_, found) in model.fits.items()}
    assert weights["accuracy"] < -10
    assert weights["latency_ms"] > -5


def build_smooth(chooser: Chooser) -> float:
    """A latency that few measurements tell."""
    widths = [int(chooser.choose(f"w{place}", WIDTHS, ordered=True)) for place in range(6)]  # type: ignore[arg-type]
    return float(widths[0] * widths[1] + 3 * widths[2])


def over_limit(limit: float, strategy_limit: float | None, *, is_objective: bool) -> int:
    """Number of random candidates over ``limit`` among 60 whose trainings never end."""
    limits = {} if strategy_limit is None else {"latency_ms@pi": Limit(max=strategy_limit)}
    objectives = {"accuracy": "maximize", **({"latency_ms@pi": "minimize"} if is_objective else {})}
    strategy, count = ParetoBoStrategy(Goal(objectives, limits), 3), 0  # type: ignore[arg-type]
    for number in range(60):
        suggestion, true = strategy.propose(build_smooth, number)
        count += true > limit
        violation = (true - limit) / limit
        state = "infeasible" if violation > 0 and strategy_limit else "measured_only"
        assert bool(suggestion.sampler_state.get(PREDICTED)) == (strategy_limit is not None and number >= 8)
        values = {"latency_ms@pi": true} if is_objective else {}
        strategy.observe([Observation(suggestion, state, values, {"latency_ms@pi": violation})])  # type: ignore[arg-type]
    return count


@pytest.mark.parametrize("is_objective", [True, False])
def test_random_candidates_keep_a_limit_that_measured_ones_tell(is_objective: bool) -> None:
    limit = float(np.quantile([build_smooth(RandomChooser(seed)) for seed in range(200)], 0.3))
    without = over_limit(limit, None, is_objective=is_objective)
    assert without > 35
    assert over_limit(limit, limit, is_objective=is_objective) < 0.7 * without
