"""A Gaussian process over answers and features, with the most probable hyper-parameters.

The covariance of two networks is ``s * exp(-sum_q w_q D_q) + t * exp(-sum_f v_f (x_f - y_f)^2)`` plus noise, where
``D_q`` is the distance of their answers to question q (see ``codes``), and x and y are features of the built networks.
For unordered answers, the first term is the diffusion kernel of COMBO (Oh et al. 2019).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.linalg import cho_factor, cho_solve, solve_triangular
from scipy.optimize import minimize

Floats = npt.NDArray[np.float64]
#: Log-normal priors: mean and standard deviation of the logarithm.
_SCALE_PRIOR, _NOISE_PRIOR = (0.0, 1.0), (np.log(0.02), 1.5)
#: Sums of the prior medians of all weights, of answers and of features.
_TOTAL_WEIGHT = 3.0
_TOTAL_FEATURE_WEIGHT = 0.3
_JITTER = 1e-6
#: Largest absolute value of the logarithms of hyper-parameters.
_BOUND = 12.0


@dataclass(frozen=True)
class Inputs:
    """Networks as inputs of the process: codes ``(n, k)`` and standardized features ``(n, f)``."""

    codes: Floats
    features: Floats

    def take(self, rows: Any) -> Inputs:
        """The networks in ``rows`` only."""
        return Inputs(self.codes[rows], self.features[rows])


@dataclass(frozen=True)
class Hyperparameters:
    """Logarithms of scale and weights ``(d,)`` of answers, scale and weights ``(f,)`` of features, noise variance."""

    values: tuple[float, ...]

    @classmethod
    def prior(cls, num_questions: int, num_features: int) -> Hyperparameters:
        """The medians of the priors."""
        mean, _ = _priors(num_questions, num_features)
        return cls(tuple(mean))


def fit(
    inputs: Inputs, owner: npt.NDArray[np.int64], y: Floats, noise: Floats, start: Hyperparameters, steps: int
) -> Hyperparameters:
    """The most probable hyper-parameters, by L-BFGS from ``start``.

    Args:
        inputs: inputs of n networks.
        owner: ``(k,)`` index of the question that each column of the codes belongs to.
        y: ``(n,)`` standardized values.
        noise: ``(n,)`` known variances of ``y``.
        start: hyper-parameters at which the optimization starts.
        steps: largest number of iterations.
    """
    num_questions, num_features = int(owner.max(initial=-1)) + 1, inputs.features.shape[1]
    answers = _stacked([inputs.codes[:, owner == place] for place in range(num_questions)], len(y))
    features = _stacked([inputs.features[:, [place]] for place in range(num_features)], len(y))
    mean, spread = _priors(num_questions, num_features)

    def loss(theta: Floats) -> tuple[float, Floats]:
        scale, weights, scale2, weights2, variance = _split(theta, num_questions)
        first = scale * np.exp(-np.tensordot(weights, answers, 1))
        second = scale2 * np.exp(-np.tensordot(weights2, features, 1)) * (num_features > 0)
        total = first + second
        total[np.diag_indices_from(total)] += variance + noise + _JITTER * (scale + scale2)
        try:
            factor = cho_factor(total, lower=True)
        except np.linalg.LinAlgError:
            return 1e10, np.zeros_like(theta)
        solved = cho_solve(factor, y)
        inverse = cho_solve(factor, np.eye(len(y)))
        inner = np.outer(solved, solved) - inverse
        log_likelihood = -0.5 * y @ solved - np.log(np.diag(factor[0])).sum()
        slopes = [
            0.5 * np.sum(inner * first),
            *(-0.5 * weights * np.tensordot(answers, inner * first, 2)),
            0.5 * np.sum(inner * second),
            *(-0.5 * weights2 * np.tensordot(features, inner * second, 2)),
            0.5 * variance * np.trace(inner),
        ]
        off = (theta - mean) / spread
        return -log_likelihood + 0.5 * off @ off, -np.array(slopes) + off / spread

    found = minimize(
        loss,
        np.array(start.values),
        jac=True,
        method="L-BFGS-B",
        bounds=[(-_BOUND, _BOUND)] * len(mean),
        options={"maxiter": steps},
    )
    return Hyperparameters(tuple(float(value) for value in found.x))


class Posterior:
    """The process, conditioned on observed values.

    Args:
        inputs: inputs of n networks.
        owner: see ``fit``.
        y: ``(n,)`` standardized values.
        noise: ``(n,)`` known variances.
        hyperparameters: see ``fit``.

    Attributes:
        noise: variance of a value around the process, besides its known variance.
    """

    def __init__(
        self,
        inputs: Inputs,
        owner: npt.NDArray[np.int64],
        y: Floats,
        noise: Floats,
        hyperparameters: Hyperparameters,
    ) -> None:
        num_questions = int(owner.max(initial=-1)) + 1
        theta = np.array(hyperparameters.values)
        self._scale, weights, self._scale2, weights2, self.noise = _split(theta, num_questions)
        self._roots = np.sqrt(weights)[owner], np.sqrt(weights2)
        self._inputs = self._scaled(inputs)
        total = self._covariance(self._inputs, self._inputs)
        total[np.diag_indices_from(total)] += self.noise + noise + _JITTER * (self._scale + self._scale2)
        self._factor = cho_factor(total, lower=True)
        self._solved = cho_solve(self._factor, y)

    def predict(self, inputs: Inputs) -> tuple[Floats, Floats]:
        """Means ``(m,)`` and standard deviations ``(m,)`` of m networks, without noise."""
        cross = self._covariance(self._scaled(inputs), self._inputs)
        half = solve_triangular(self._factor[0], cross.T, lower=True)
        variance = self._scale + self._scale2 * (self._roots[1].size > 0) - np.sum(half**2, axis=0)
        return cross @ self._solved, np.sqrt(np.maximum(variance, 1e-9))

    def _scaled(self, inputs: Inputs) -> Inputs:
        return Inputs(inputs.codes * self._roots[0], inputs.features * self._roots[1])

    def _covariance(self, first: Inputs, second: Inputs) -> Floats:
        total = self._scale * np.exp(-_between(first.codes, second.codes))
        if self._roots[1].size:
            total += self._scale2 * np.exp(-_between(first.features, second.features))
        return total


def _priors(num_questions: int, num_features: int) -> tuple[Floats, Floats]:
    """Prior means and standard deviations of the logarithms of all hyper-parameters."""
    weight = np.log(_TOTAL_WEIGHT / max(1, num_questions))
    feature_weight = np.log(_TOTAL_FEATURE_WEIGHT / max(1, num_features))
    parts = [
        (_SCALE_PRIOR, 1),
        ((weight, 1.0), num_questions),
        (_SCALE_PRIOR, 1),
        ((feature_weight, 1.0), num_features),
        (_NOISE_PRIOR, 1),
    ]
    mean, spread = (np.concatenate([np.full(count, prior[place]) for prior, count in parts]) for place in (0, 1))
    return mean, spread


def _split(theta: Floats, num_questions: int) -> tuple[float, Floats, float, Floats, float]:
    values = np.exp(theta)
    middle = 1 + num_questions
    return float(values[0]), values[1:middle], float(values[middle]), values[middle + 1 : -1], float(values[-1])


def _stacked(parts: Sequence[Floats], count: int) -> Floats:
    """Squared distances over the columns of each part, ``(p, n, n)``."""
    return np.array([_between(part, part) for part in parts]).reshape(len(parts), count, count)


def _between(first: Floats, second: Floats) -> Floats:
    """Squared distances of the rows of two arrays, ``(n, m)``."""
    squares = (first**2).sum(1)[:, None] + (second**2).sum(1)[None, :]
    return np.asarray(np.maximum(squares - 2 * first @ second.T, 0.0))
