"""Predictions for the networks of a study from the results of an earlier study, and its best networks."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from nas.strategies import EarlierStudy, Goal, Observation
from nas.strategies.pareto import pareto_front
from nas.strategies.pareto_bo.codes import INACTIVE, Coded, Coder, Floats, Levels
from nas.strategies.pareto_bo.model import Model

if TYPE_CHECKING:
    from nas.space.chooser import Question, Value


class EarlierModel:
    """Predicts the networks of a study from the results of an earlier one.

    It learns the influence of the questions that both studies ask. An option that the earlier study did not have counts
    as an average of the options that it had.

    Args:
        goal: objectives of the study; the expectation of those that the earlier study has no values of is 0.
        earlier: results of the earlier study.
        questions: questions of the study.

    Attributes:
        name: name of the earlier study.
        objectives: indices of the objectives that the earlier study has values of.
    """

    def __init__(self, goal: Goal, earlier: EarlierStudy, questions: Sequence[Question]) -> None:
        self.name = earlier.name
        names, known = [question.name for question in questions], known_objectives(goal, earlier)
        observations = [_restricted(item, names) for item in _measured(goal, earlier)]
        coded = Coded(observations[0].suggestion.questions)
        self._model = Model(Goal({name: goal.objectives[name] for name in known}, {}), coded, observations, {})
        self.objectives = [list(goal.objectives).index(name) for name in known]
        self._num_objectives = len(goal.objectives)
        self._best = best_answers(goal, earlier)
        coder = self._model.coder
        self._columns = [names.index(question.name) for question in coder.questions]
        self._tables = [_translated(coder, place, questions[column]) for place, column in enumerate(self._columns)]

    def unbuilt(self, levels: Levels) -> Floats:
        """Expectations ``(n, m)`` of networks by their levels ``(n, d)``; those of costs are logarithms."""
        return self.built(levels, [{}] * len(levels))

    def built(self, levels: Levels, features: Sequence[Mapping[str, float]]) -> Floats:
        """Expectations ``(n, m)`` of networks by their levels ``(n, d)`` and features."""
        columns = [table[levels[:, column]] for column, table in zip(self._columns, self._tables, strict=True)]
        codes = np.concatenate([np.empty((len(levels), 0)), *columns], axis=1)
        found = np.zeros((len(levels), self._num_objectives))
        found[:, self.objectives] = self._model.expectations(codes, features)
        return found

    def parents(self, coder: Coder, most: int) -> Levels:
        """Indices ``(p, d)`` of the answers on the front; a missing answer is the first option.

        There are ``most`` of them, spread evenly, if there are more.
        """
        places = np.unique(np.linspace(0, len(self._best) - 1, min(most, len(self._best))).round().astype(int))
        return np.stack([coder.nearest(self._best[place]) for place in places])


def is_useful(goal: Goal, earlier: EarlierStudy, questions: Sequence[Question]) -> bool:
    """Whether two studies have a question and an objective in common, and the earlier one has enough results."""
    measured = _measured(goal, earlier)
    asked = {question.name for item in measured[:1] for question in item.suggestion.questions}
    return len(measured) >= 2 and any(question.name in asked for question in questions)


def known_objectives(goal: Goal, earlier: EarlierStudy) -> list[str]:
    """The objectives of a study that an earlier study has values of."""
    return [name for name in goal.objectives if any(name in item.values for item in earlier.observations)]


def best_answers(goal: Goal, earlier: EarlierStudy) -> list[Mapping[str, Value]]:
    """The active answers of the networks on the front of an earlier study, ordered by the last objective."""
    measured, known = _measured(goal, earlier), known_objectives(goal, earlier)
    points = np.array([[item.values[name] for name in known] for item in measured]).reshape(len(measured), len(known))
    front = pareto_front(points, [goal.objectives[name] for name in known])
    ordered = front[np.argsort(points[front, -1], kind="stable")] if known else front
    return [_active(measured[place]) for place in ordered]


def _active(observation: Observation) -> dict[str, Value]:
    suggestion = observation.suggestion
    return {item.name: suggestion.answers[item.name] for item in suggestion.questions if item.active}


def _measured(goal: Goal, earlier: EarlierStudy) -> list[Observation]:
    """The results of an earlier study that have a finite value of every objective known to it."""
    known = known_objectives(goal, earlier)
    return [
        item
        for item in earlier.observations
        if known and all(math.isfinite(item.values.get(name, math.nan)) for name in known)
    ]


def _restricted(observation: Observation, names: Sequence[str]) -> Observation:
    """The observation with those of its questions that are in ``names``."""
    suggestion = observation.suggestion
    questions = tuple(question for question in suggestion.questions if question.name in names)
    return replace(observation, suggestion=replace(suggestion, questions=questions))


def _translated(coder: Coder, place: int, question: Question) -> Floats:
    """The earlier study's codes ``(L + 1, columns)`` of a question's levels; the last row is for INACTIVE."""
    options = [repr(option) for option in coder.questions[place].options]
    table = coder.tables[place]
    average = table[: len(options)].mean(axis=0)
    rows = [table[options.index(repr(option))] if repr(option) in options else average for option in question.options]
    return np.stack([*rows, table[INACTIVE]])
