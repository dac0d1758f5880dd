"""Scores of zero-cost proxies in the model: they count for scores, as far as they correlate, and not for costs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pytest
from scipy.stats import spearmanr

from nas.space.chooser import RandomChooser
from nas.strategies import Goal, Observation, Suggestion
from nas.strategies.pareto_bo.codes import Coded, levels_of
from nas.strategies.pareto_bo.model import Model
from nas.strategies.pareto_bo.proxy_scores import ProxyScores

WIDTHS = (1, 2, 3, 4, 5, 6)
GOAL = Goal({"accuracy": "maximize", "latency_ms": "minimize"}, {})
TABLES = np.random.default_rng(5).uniform(0.5, 2.5, size=(6, 6))


def suggested(seed: int) -> tuple[Suggestion, float]:
    """A network, and its accuracy: a product of table entries, so that few results hardly tell it."""
    chooser = RandomChooser(seed)
    answers = [WIDTHS.index(chooser.choose(f"w{place}", WIDTHS)) for place in range(6)]  # type: ignore[arg-type]
    return Suggestion.from_chooser(seed, chooser), float(np.log(np.prod(TABLES[range(6), answers])))


NETWORKS = [suggested(seed) for seed in range(150)]
TRUE = np.array([accuracy for _, accuracy in NETWORKS])


def model(scores: Sequence[Mapping[str, float]], known: int = 16) -> Model:
    observations = [
        Observation(suggestion, "complete", {"accuracy": accuracy, "latency_ms": 1.0 + number}, proxies=scores[number])
        for number, (suggestion, accuracy) in enumerate(NETWORKS[:known])
    ]
    return Model(GOAL, Coded(NETWORKS[0][0].questions), observations, {})


def predicted(scores: Sequence[Mapping[str, float]]) -> np.ndarray:
    found = model(scores)
    levels = np.stack([levels_of(found.coder, suggestion) for suggestion, _ in NETWORKS[16:]])
    return found.means(found.built(levels, [{}] * len(levels), scores[16:]))


def rank(scores: Sequence[Mapping[str, float]]) -> float:
    return float(spearmanr(predicted(scores)[:, 0], TRUE[16:]).statistic)


def scores_with(noise: float) -> list[dict[str, float]]:
    drawn = np.random.default_rng(1).standard_normal(len(NETWORKS))
    return [{"proxy": float(value)} for value in 100.0 * (TRUE + noise * drawn)]


def test_a_proxy_that_correlates_improves_predictions() -> None:
    without = rank([{}] * len(NETWORKS))
    assert rank(scores_with(0.3)) > max(0.85, without + 0.1)


def test_a_proxy_of_chance_does_no_harm() -> None:
    chance = [{"proxy": float(value)} for value in np.random.default_rng(2).standard_normal(len(NETWORKS))]
    assert rank(chance) == pytest.approx(rank([{}] * len(NETWORKS)), abs=0.02)


def test_costs_do_not_depend_on_proxies() -> None:
    none = [{}] * len(NETWORKS)
    np.testing.assert_allclose(predicted(scores_with(0.0))[:, 1], predicted(none)[:, 1], atol=1e-3)


def test_the_answers_predict_an_unknown_score() -> None:
    codes = np.eye(4)[[0, 1, 2, 3, 0, 1, 2, 3]]
    known = [{"proxy": 10.0}, {"proxy": 20.0}, {"proxy": 30.0}, {"proxy": 40.0}] * 2
    scores = ProxyScores(codes, [*known[:7], {}])
    assert scores.values[3, 0] > 1.0
    assert scores.values[7, 0] > scores.values[2, 0] * 0.5 > 0
    assert scores.scaled(codes[:1], [{"proxy": 40.0}])[0, 0] == scores.values[3, 0]


def test_constant_scores_are_left_out() -> None:
    codes = np.eye(2)
    assert ProxyScores(codes, [{"proxy": 1.0}, {"proxy": 1.0}]).values.shape == (2, 0)
    assert ProxyScores(codes, [{"proxy": 1.0}, {}]).values.shape == (2, 0)
    assert ProxyScores(codes, [{}, {}]).values.shape == (2, 0)


def test_a_network_without_a_score_is_predicted_all_the_same() -> None:
    scores = [item if number % 3 else {} for number, item in enumerate(scores_with(0.3))]
    assert np.isfinite(predicted(scores)).all()
