"""The rungs of successive halving: which waiting training continues, and what score a rung predicts for the end."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from statistics import fmean, stdev

import numpy as np

from nas.strategies.pareto import pareto_front
from trials.analysis.hypervolume import hypervolume
from trials.coordinator.pipeline import Metrics, rung_metric
from trials.plans.problem import Problem

#: Distance of the reference point of contributions beyond the worst values at a rung, as a share of their range.
_MARGIN = 0.1
#: Smallest number of finished candidates from which the gap between a rung and the end is estimated.
_FEWEST_GAPS = 2


class Rungs:
    """The scores of a study's candidates at its rungs; they follow from stored metrics alone.

    The rule of promotion is that of ASHA (Li et al. 2020): of the ``n`` candidates that have reached a rung, the best
    ``n // factor`` may continue, and higher rungs come first. At the end, when nothing runs and this rule lets none
    continue, ``n / factor`` is rounded up, from the lowest rung on, so that at least one training is finished.

    With several objectives, the best ones are those of the first fronts; a front of which only a part may continue is
    ordered by contributions to its hypervolume.
    """

    def __init__(self, problem: Problem) -> None:
        self.epochs = problem.rungs
        halving = problem.estimator().halving if problem.rungs else None
        self._factor = halving.factor if halving else 1
        self._objectives = {name: problem.metric_key(name) for name in problem.objectives}
        self._directions = list(problem.objectives.values())
        #: Objectives that are scores, whose values at a rung are not those at the end.
        self._scores = [name for name, (metric, _) in self._objectives.items() if metric in problem.score_names]
        self._first_metric = problem.task.metrics[0].name
        self.clear()

    def clear(self) -> None:
        """Forget all candidates."""
        #: Rung → candidate → its objectives.
        self._points: dict[int, dict[int, tuple[float, ...]]] = {epochs: {} for epochs in self.epochs}
        #: (objective, rung) → finished candidate → its score at the end minus that at the rung.
        self._gaps: dict[tuple[str, int], dict[int, float]] = {}
        self._best: dict[int, list[int]] = {}

    def record(self, candidate: int, state: str, metrics: Metrics) -> None:
        """Take the metrics of a candidate into account; an infeasible candidate competes with no other."""
        for epochs in self.epochs:
            found = [metrics.get(self._key(name, epochs)) for name in self._objectives]
            values = tuple(item.value for item in found if item is not None)
            points = self._points[epochs]
            before = points.pop(candidate, None)
            if state != "infeasible" and len(values) == len(found) and self.reached(metrics) >= epochs:
                points[candidate] = values
            if points.get(candidate) != before:
                self._best.pop(epochs, None)
            for name in self._scores:
                gaps = self._gaps.setdefault((name, epochs), {})
                gaps.pop(candidate, None)
                early, final = metrics.get(self._key(name, epochs)), metrics.get(self._objectives[name])
                if state == "complete" and early and final:
                    gaps[candidate] = final.value - early.value

    def reached(self, metrics: Metrics) -> int:
        """Return the last rung that a candidate has reached; 0 before the first."""
        done = [epochs for epochs in self.epochs if (rung_metric(self._first_metric, epochs), "") in metrics]
        return done[-1] if done else 0

    def promotion(self, paused: Mapping[int, int], *, last: bool) -> int | None:
        """Return the candidate whose training continues next; None if none of the paused ones may continue yet.

        Args:
            paused: candidate → the rung at which it waits.
            last: whether nothing runs, and no candidate can be added any more.
        """
        for epochs in reversed(self.epochs):
            if (found := self._first_paused(paused, epochs, len(self._points[epochs]) // self._factor)) is not None:
                return found
        for epochs in self.epochs if last else ():
            most = math.ceil(len(self._points[epochs]) / self._factor)
            if (found := self._first_paused(paused, epochs, most)) is not None:
                return found
        return None

    def _first_paused(self, paused: Mapping[int, int], epochs: int, most: int) -> int | None:
        """Return the best candidate that waits at a rung, if it is among the best ``most`` there."""
        if epochs not in self._best:
            self._best[epochs] = self._best_at(epochs)
        return next((key for key in self._best[epochs][:most] if paused.get(key) == epochs), None)

    def expected(self, metrics: Metrics) -> dict[str, tuple[float, float]]:
        """Return score → expected final value and its standard deviation, from the last rung that was reached.

        The value at the rung is corrected by the mean gap between rung and end over finished candidates; a score is
        missing while too few are finished.
        """
        epochs = self.reached(metrics)
        found = {}
        for name in self._scores if epochs else ():
            gaps = list(self._gaps.get((name, epochs), {}).values())
            if len(gaps) >= _FEWEST_GAPS:
                found[name] = (metrics[self._key(name, epochs)].value + fmean(gaps), stdev(gaps))
        return found

    def _key(self, name: str, epochs: int) -> tuple[str, str]:
        """Return the name and target under which an objective's value at a rung is stored."""
        metric, target = self._objectives[name]
        return (rung_metric(metric, epochs), "") if name in self._scores else (metric, target)

    def _best_at(self, epochs: int) -> list[int]:
        """Return the best candidates of a rung, best first, as many as may ever continue."""
        points = self._points[epochs]
        numbers = sorted(points)
        most = math.ceil(len(points) / self._factor)
        chosen = best([points[number] for number in numbers], self._directions, most)
        return [numbers[place] for place in chosen]


def best(points: Sequence[Sequence[float]], directions: Sequence[str], count: int) -> list[int]:
    """Return the indices of the ``count`` best points: by front, then by contribution to their front's hypervolume.

    Of equal points, the first comes first.

    Args:
        points: ``(n, m)`` finite values.
        directions: ``maximize`` or ``minimize`` for each column.
        count: at most n.
    """
    values, left, chosen = np.array(points, dtype=np.float64), list(range(len(points))), list[int]()
    while len(chosen) < count:
        front = [left[place] for place in pareto_front(values[left], directions)]
        gains = _contributions(values[front], directions, _reference(values, directions))
        order = sorted(range(len(front)), key=lambda place: -gains[place])
        chosen += [front[place] for place in order]
        left = [place for place in left if place not in front]
    return chosen[:count]


def _reference(values: np.ndarray, directions: Sequence[str]) -> list[float]:
    """Return a point that is a little worse than all values in every objective, ``(m,)``."""
    low, high = values.min(axis=0), values.max(axis=0)
    margin = np.where(high > low, _MARGIN * (high - low), 1.0)
    is_cost = np.array([direction == "minimize" for direction in directions])
    return [float(value) for value in np.where(is_cost, high + margin, low - margin)]


def _contributions(front: np.ndarray, directions: Sequence[str], reference: Sequence[float]) -> list[float]:
    """Return the hypervolume that only each point of a front dominates, ``(f,)``."""
    whole = hypervolume(front, directions, reference)
    return [whole - hypervolume(np.delete(front, place, 0), directions, reference) for place in range(len(front))]
