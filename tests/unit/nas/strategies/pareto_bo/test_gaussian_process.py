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


def inputs(levels: np.ndarray, features: np.ndarray | None = None) -> Inputs:
    return Inputs(CODER.codes(levels), np.empty((len(levels), 0)) if features is None else features)


@pytest.mark.parametrize("with_features", [False, True])
def test_fitting_finds_a_maximum(with_features: bool) -> None:
    """Fitting again from the optimum changes little; with wrong gradients the first fit would have stopped early."""
    features = LEVELS[:, :1] - 1.5 if with_features else None
    known, noise = inputs(LEVELS, features), np.zeros(40)
    prior = Hyperparameters.prior(3, 1 if with_features else 0)
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
