"""A Gaussian process over answers and features, with the most probable hyper-parameters.

The covariance of two networks is ``s * exp(-sum_q w_q D_q) + t * exp(-sum_f v_f (x_f - y_f)^2) + sum_p u_p a_p b_p``
plus noise, where ``D_q`` is the distance of their answers to question q (see ``codes``), x and y are features of the
built networks, and a and b are quantities that the learned one may be proportional to. For unordered answers, the first
term is the diffusion kernel of COMBO (Oh et al. 2019).
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
#: Log-normal prior of the weights of proportional quantities, and the sum of its medians.
_TOTAL_SLOPE, _SLOPE_SPREAD = 0.1, 1.5
#: A proportional quantity counts if its correlation with the values is larger than this number of standard errors.
_ERRORS = 2.0
#: Sums of the prior medians of all weights, of answers and of features.
_TOTAL_WEIGHT = 3.0
_TOTAL_FEATURE_WEIGHT = 0.3
_JITTER = 1e-6
#: Largest absolute value of the logarithms of hyper-parameters.
_BOUND = 12.0


@dataclass(frozen=True)
class Inputs:
    """Networks as inputs of the process: codes ``(n, k)``, and standardized features ``(n, f)`` and ``(n, p)``.

    The learned quantity may depend on ``features`` in any way, and on ``proportional`` ones only linearly.
    """

    codes: Floats
    features: Floats
    proportional: Floats

    def take(self, rows: Any) -> Inputs:
        """The networks in ``rows`` only."""
        return Inputs(self.codes[rows], self.features[rows], self.proportional[rows])


@dataclass(frozen=True)
class Hyperparameters:
    """Logarithms of hyper-parameters.

    These are the scale and the weights ``(d,)`` of answers, the scale and the weights ``(f,)`` of features, the weights
    ``(p,)`` of proportional quantities, and the variance of the noise.
    """

    values: tuple[float, ...]

    @classmethod
    def prior(cls, num_questions: int, num_features: int, num_proportional: int = 0) -> Hyperparameters:
        """The medians of the priors."""
        mean, _ = _priors(num_questions, num_features, num_proportional)
        return cls(tuple(mean))


def fit(
    inputs: Inputs, owner: npt.NDArray[np.int64], y: Floats, noise: Floats, start: Hyperparameters, steps: int
) -> Hyperparameters:
    """The most probable hyper-parameters, by L-BFGS from ``start``.

    A proportional quantity that hardly correlates with ``y`` gets the smallest weight, so that chance does not mislead.

    Args:
        inputs: inputs of n networks.
        owner: ``(k,)`` index of the question that each column of the codes belongs to.
        y: ``(n,)`` standardized values.
        noise: ``(n,)`` known variances of ``y``.
        start: hyper-parameters at which the optimization starts.
        steps: largest number of iterations.
    """
    num_questions, num_features = int(owner.max(initial=-1)) + 1, inputs.features.shape[1]
    num_proportional = inputs.proportional.shape[1]
    answers = _stacked([inputs.codes[:, owner == place] for place in range(num_questions)], len(y))
    features = _stacked([inputs.features[:, [place]] for place in range(num_features)], len(y))
    products = np.einsum("ip,jp->pij", inputs.proportional, inputs.proportional)
    mean, spread = _priors(num_questions, num_features, num_proportional)
    bounds = [(-_BOUND, _BOUND)] * len(mean)
    for place in np.flatnonzero(~_correlates(inputs.proportional, y)):
        bounds[place - 1 - num_proportional] = (-_BOUND, -_BOUND)

    def loss(theta: Floats) -> tuple[float, Floats]:
        scale, weights, scale2, weights2, linear, variance = _split(theta, num_questions, num_features)
        first = scale * np.exp(-np.tensordot(weights, answers, 1))
        second = scale2 * np.exp(-np.tensordot(weights2, features, 1)) * (num_features > 0)
        total = first + second + np.tensordot(linear, products, 1)
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
            *(0.5 * linear * np.tensordot(products, inner, 2)),
            0.5 * variance * np.trace(inner),
        ]
        off = (theta - mean) / spread
        return -log_likelihood + 0.5 * off @ off, -np.array(slopes) + off / spread

    found = minimize(
        loss,
        np.clip(start.values, *np.transpose(bounds)),
        jac=True,
        method="L-BFGS-B",
        bounds=bounds,
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
        num_features = inputs.features.shape[1]
        self._scale, weights, self._scale2, weights2, slopes, self.noise = _split(theta, num_questions, num_features)
        self._roots = np.sqrt(weights)[owner], np.sqrt(weights2), np.sqrt(slopes)
        self._inputs = self._scaled(inputs)
        total = self._covariance(self._inputs, self._inputs)
        total[np.diag_indices_from(total)] += self.noise + noise + _JITTER * (self._scale + self._scale2)
        self._factor = cho_factor(total, lower=True)
        self._solved = cho_solve(self._factor, y)

    def predict(self, inputs: Inputs) -> tuple[Floats, Floats]:
        """Means ``(m,)`` and standard deviations ``(m,)`` of m networks, without noise."""
        scaled = self._scaled(inputs)
        cross = self._covariance(scaled, self._inputs)
        half = solve_triangular(self._factor[0], cross.T, lower=True, check_finite=False)
        prior = self._scale + self._scale2 * (self._roots[1].size > 0) + np.sum(scaled.proportional**2, axis=1)
        variance = prior - np.einsum("nm,nm->m", half, half)
        return cross @ self._solved, np.sqrt(np.maximum(variance, 1e-9))

    def _scaled(self, inputs: Inputs) -> Inputs:
        codes, features, slopes = self._roots
        return Inputs(inputs.codes * codes, inputs.features * features, inputs.proportional * slopes)

    def _covariance(self, first: Inputs, second: Inputs) -> Floats:
        total = _similarity(first.codes, second.codes)
        total *= self._scale
        if self._roots[1].size:
            total += self._scale2 * _similarity(first.features, second.features)
        if first.proportional.shape[1]:
            total += first.proportional @ second.proportional.T
        return total


def _correlates(quantities: Floats, y: Floats) -> npt.NDArray[np.bool_]:
    """Whether each quantity ``(n, p)`` rises with ``y`` ``(n,)`` more clearly than by chance, ``(p,)``."""
    centred = quantities - quantities.mean(axis=0)
    scale = np.sqrt((centred**2).sum(axis=0) * ((y - y.mean()) ** 2).sum())
    return np.asarray((y - y.mean()) @ centred > _ERRORS / np.sqrt(len(y)) * scale)


def _priors(num_questions: int, num_features: int, num_proportional: int) -> tuple[Floats, Floats]:
    """Prior means and standard deviations of the logarithms of all hyper-parameters."""
    weight = np.log(_TOTAL_WEIGHT / max(1, num_questions))
    feature_weight = np.log(_TOTAL_FEATURE_WEIGHT / max(1, num_features))
    slope = np.log(_TOTAL_SLOPE / max(1, num_proportional))
    parts = [
        (_SCALE_PRIOR, 1),
        ((weight, 1.0), num_questions),
        (_SCALE_PRIOR, 1),
        ((feature_weight, 1.0), num_features),
        ((slope, _SLOPE_SPREAD), num_proportional),
        (_NOISE_PRIOR, 1),
    ]
    mean, spread = (np.concatenate([np.full(count, prior[place]) for prior, count in parts]) for place in (0, 1))
    return mean, spread


def _split(theta: Floats, num_questions: int, num_features: int) -> tuple[float, Floats, float, Floats, Floats, float]:
    """Scale and weights of answers, scale and weights of features, weights of proportional quantities, noise."""
    values = np.exp(theta)
    scale, answers, scale2, others, noise = np.split(
        values, np.cumsum([1, num_questions, 1, len(values) - num_questions - 3])
    )
    return float(scale[0]), answers, float(scale2[0]), others[:num_features], others[num_features:], float(noise[0])


def _stacked(parts: Sequence[Floats], count: int) -> Floats:
    """Squared distances over the columns of each part, ``(p, n, n)``."""
    return np.array([_between(part, part) for part in parts]).reshape(len(parts), count, count)


def _similarity(first: Floats, second: Floats) -> Floats:
    """Exponentials of the negative squared distances of the rows of two arrays, ``(n, m)``."""
    found = (2 * first) @ second.T
    found -= (first**2).sum(1)[:, None]
    found -= (second**2).sum(1)
    return np.exp(np.minimum(found, 0.0, out=found), out=found)


def _between(first: Floats, second: Floats) -> Floats:
    """Squared distances of the rows of two arrays, ``(n, m)``."""
    squares = (first**2).sum(1)[:, None] + (second**2).sum(1)[None, :]
    return np.asarray(np.maximum(squares - 2 * first @ second.T, 0.0))
