"""The Gaussian process: its gradients, its predictions, and which answers it learns to ignore."""

from __future__ import annotations

import numpy as np
import pytest

from nas.space.chooser import Question
from nas.strategies.pareto_bo.codes import Coder
from nas.strategies.pareto_bo.gaussian_process import Hyperparameters, Inputs, Posterior, fit

CODER = Coder(tuple(Question(name, tuple(range(4)), ordered=True) for name in ("matters", "ignored", "ignored too")))
GENERATOR = np.random.default_rng(3)
LEVELS = GENERATOR.integers(0, 4, size=(40, 3))
Y = np.sin(LEVELS[:, 0]) + 0.01 * GENERATOR.standard_normal(40)
Y = (Y - Y.mean()) / Y.std()


def inputs(levels: np.ndarray, features: np.ndarray | None = None, proportional: np.ndarray | None = None) -> Inputs:
    none = np.empty((len(levels), 0))
    return Inputs(
        CODER.codes(levels),
        none if features is None else features,
        none if proportional is None else proportional,
    )


@pytest.mark.parametrize(("num_features", "num_proportional"), [(0, 0), (1, 0), (1, 1)])
def test_fitting_finds_a_maximum(num_features: int, num_proportional: int) -> None:
    """Fitting again from the optimum changes little; with wrong gradients the first fit would have stopped early."""
    features, proportional = (LEVELS[:, :1] - 1.5)[:, :num_features], Y[:, None][:, :num_proportional]
    known, noise = (
        inputs(LEVELS, features, proportional + 0.5 * GENERATOR.standard_normal(proportional.shape)),
        np.zeros(40),
    )
    prior = Hyperparameters.prior(3, num_features, num_proportional)
    found = fit(known, CODER.owner, Y, noise, prior, 200)
    again = fit(known, CODER.owner, Y, noise, found, 200)
    assert np.allclose(found.values, again.values, atol=0.05)
    assert not np.allclose(found.values, prior.values, atol=0.5)


def test_it_learns_which_answers_matter() -> None:
    found = fit(inputs(LEVELS), CODER.owner, Y, np.zeros(40), Hyperparameters.prior(3, 0), 100)
    weights = np.exp(found.values[1:4])
    assert weights[0] > 3 * max(weights[1:])
    posterior = Posterior(inputs(LEVELS), CODER.owner, Y, np.zeros(40), found)
    mean, spread = posterior.predict(inputs(LEVELS))
    assert np.corrcoef(mean, Y)[0, 1] > 0.99
    assert (spread < 0.3).all()


def test_noise_that_is_known_is_not_believed() -> None:
    noise = np.zeros(40)
    wrong = Y.copy()
    wrong[0], noise[0] = 8.0, 100.0
    prior = Hyperparameters.prior(3, 0)
    believed, doubted = (
        Posterior(inputs(LEVELS), CODER.owner, wrong, each, prior).predict(inputs(LEVELS[:1]))[0][0]
        for each in (np.zeros(40), noise)
    )
    assert abs(doubted - Y[0]) < abs(believed - Y[0]) / 3


def test_far_from_what_it_knows_it_is_unsure() -> None:
    known = LEVELS[LEVELS[:, 0] < 2]
    posterior = Posterior(
        inputs(known), CODER.owner, np.zeros(len(known)), np.zeros(len(known)), Hyperparameters.prior(3, 0)
    )
    _, spread = posterior.predict(inputs(np.array([[0, *known[0][1:]], [3, *known[0][1:]]])))
    assert spread[1] > 1.5 * spread[0]


def test_a_proportional_quantity_carries_beyond_the_known_networks() -> None:
    """Far from all known answers, the line still predicts; without it, the prediction returns to the mean."""
    known, other = LEVELS[LEVELS[:, 0] < 2], np.array([[3, 3, 3]])
    y = GENERATOR.standard_normal(len(known))
    noise = np.zeros(len(known))
    with_line = inputs(known, None, y[:, None])
    found = fit(with_line, CODER.owner, y, noise, Hyperparameters.prior(3, 0, 1), 100)
    mean, _ = Posterior(with_line, CODER.owner, y, noise, found).predict(inputs(other, None, np.array([[5.0]])))
    assert mean[0] == pytest.approx(5.0, rel=0.1)


def test_a_quantity_without_correlation_gets_no_weight() -> None:
    unrelated = GENERATOR.standard_normal((40, 3))
    unrelated -= np.outer(Y, Y @ unrelated) / (Y @ Y)
    found = fit(inputs(LEVELS, None, unrelated), CODER.owner, Y, np.zeros(40), Hyperparameters.prior(3, 0, 3), 100)
    assert max(found.values[-4:-1]) < -10
