"""Expected gain of hypervolume by one more network whose objectives are predicted with independent normal errors."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.special import ndtr
from scipy.stats import qmc

from nas.strategies.pareto import pareto_front

Floats = npt.NDArray[np.float64]
#: Number of points of the integration for more than two objectives.
_POINTS = 1024


@dataclass(frozen=True)
class Beliefs:
    """Prediction of one objective for n networks: the value, or ``log(value + shift)``, is normally distributed.

    Attributes:
        mean: means ``(n,)``.
        spread: standard deviations ``(n,)``.
        direction: ``maximize`` or ``minimize``.
        shift: shift of the logarithm; None if mean and spread are those of the value itself.
    """

    mean: Floats
    spread: Floats
    direction: str
    shift: float | None = None

    def beyond(self, bounds: Floats) -> Floats:
        """Expected amounts by which n networks are better than each of ``bounds`` ``(p,)``, as ``(p, n)``.

        A worse value counts as 0.
        """
        bounds = bounds[:, None]
        if self.shift is not None:
            return self._log_beyond(bounds + self.shift)
        sign = 1.0 if self.direction == "maximize" else -1.0
        distance = sign * (self.mean - bounds)
        z = distance / self.spread
        density = np.exp(-0.5 * z**2) / np.sqrt(2 * np.pi)
        return np.asarray(distance * ndtr(z) + self.spread * density)

    def probability(self, bounds: Floats) -> Floats:
        """Probability of each network to be better than each of ``bounds`` ``(p,)``, as ``(n, p)``."""
        bounds = bounds if self.shift is None else np.log(np.maximum(bounds + self.shift, 1e-300))
        z = (self.mean[:, None] - bounds[None, :]) / self.spread[:, None]
        return np.asarray(ndtr(z if self.direction == "maximize" else -z))

    def _log_beyond(self, bounds: Floats) -> Floats:
        """``E[max(0, bound - value)]`` of log-normal values that are minimized, ``(p, n)``, for bounds ``(p, 1)``."""
        z = (np.log(bounds) - self.mean) / self.spread
        mean = np.exp(self.mean + self.spread**2 / 2)
        return np.asarray(np.maximum(bounds * ndtr(z) - mean * ndtr(z - self.spread), 0.0))


def expected_gain(beliefs: Sequence[Beliefs], front: Floats, reference: Floats, seed: int) -> Floats:
    """Expected increase of the hypervolume that the front dominates up to ``reference``, for each network ``(n,)``.

    The result is exact for one and two objectives; for more, it is an integral over quasi-random points.

    Args:
        beliefs: predictions of the m objectives.
        front: values of the best networks so far, ``(f, m)``; points worse than the reference and dominated points are
            ignored.
        reference: worst values that count, ``(m,)``.
        seed: seed of the points.
    """
    signs = np.array([1.0 if item.direction == "maximize" else -1.0 for item in beliefs])
    inside = front[((front - reference) * signs > 0).all(axis=1)]
    inside = inside[pareto_front(inside, [item.direction for item in beliefs])] if len(inside) else inside
    if len(beliefs) == 1:
        best = inside[0, 0] if len(inside) else reference[0]
        return np.asarray(beliefs[0].beyond(np.array([best]))[0])
    if len(beliefs) == 2:
        return _over_strips(beliefs[0], beliefs[1], inside, reference, float(signs[1]))
    return _over_points(beliefs, inside, reference, signs, seed)


def _over_strips(first: Beliefs, second: Beliefs, front: Floats, reference: Floats, sign: float) -> Floats:
    """Integrate over strips of the undominated area along the second objective, each with one bound on the first."""
    order = np.argsort(
        -sign * front[:, 1]
    )  # from the best to the worst in the second objective, which is from the worst to the best in the first
    bounds = np.concatenate([front[order, 1], [reference[1]]])
    floors = np.concatenate([[reference[0]], front[order, 0]])
    widths = np.diff(second.beyond(bounds), axis=0, prepend=0.0)
    return np.asarray((widths * first.beyond(floors)).sum(axis=0))


def _over_points(beliefs: Sequence[Beliefs], front: Floats, reference: Floats, signs: Floats, seed: int) -> Floats:
    best = [
        item.mean + sign * 2 * item.spread if item.shift is None else np.exp(item.mean - 2 * item.spread) - item.shift
        for item, sign in zip(beliefs, signs, strict=True)
    ]
    ideal = np.array([values.max() if sign > 0 else values.min() for values, sign in zip(best, signs, strict=True)])
    ideal = np.where((ideal - reference) * signs > 0, ideal, reference)
    sampler = qmc.Sobol(len(beliefs), seed=seed)
    points = reference + sampler.random(_POINTS) * (ideal - reference)
    for member in front:
        points = points[((points - member) * signs > 0).any(axis=1)]
    chances = np.ones((len(beliefs[0].mean), len(points)))
    for place, item in enumerate(beliefs):
        chances *= item.probability(points[:, place])
    return np.asarray(chances.sum(axis=1) * np.prod(np.abs(ideal - reference)) / _POINTS)
