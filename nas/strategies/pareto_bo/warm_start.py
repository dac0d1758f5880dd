"""Starts a study from the results of earlier ones, once these predict its own results."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from scipy.stats import rankdata

from nas.strategies import FEATURES, EarlierStudy, Goal, Observation
from nas.strategies.pareto_bo.codes import Coder, Floats, levels_of
from nas.strategies.pareto_bo.earlier import EarlierModel, is_useful
from nas.strategies.pareto_bo.trend import cautious_correlation

if TYPE_CHECKING:
    from nas.space.chooser import Question


class WarmStart:
    """The earlier studies that a study starts from.

    Args:
        goal: objectives of the study.
        studies: results of earlier studies.
    """

    def __init__(self, goal: Goal, studies: Sequence[EarlierStudy]) -> None:
        self._goal, self._studies = goal, studies
        self._models: list[EarlierModel] | None = None

    def trusted(self, known: Sequence[Observation]) -> list[EarlierModel]:
        """The models of the earlier studies that predict the results of all their objectives better than by chance.

        A study counts as a whole: one that is wrong about one objective is not trusted for the others.
        """
        names = list(self._goal.objectives)
        values = np.array([[item.values.get(name, math.nan) for name in names] for item in known])
        rows = [
            row
            for row, item in enumerate(known)
            if item.state == "complete" and item.suggestion.questions and np.isfinite(values[row]).all()
        ]
        if not self._studies or not rows:
            return []
        complete = [known[row].suggestion for row in rows]
        coder = Coder(complete[0].questions)
        levels = np.stack([levels_of(coder, suggestion) for suggestion in complete])
        features = [suggestion.sampler_state.get(FEATURES, {}) for suggestion in complete]
        models = self._models_of(complete[0].questions)
        return [model for model in models if _is_right(model, model.built(levels, features), values[rows])]

    def _models_of(self, questions: Sequence[Question]) -> list[EarlierModel]:
        """The models of all earlier studies that have something in common with the study."""
        if self._models is None:
            useful = [study for study in self._studies if is_useful(self._goal, study, questions)]
            self._models = [EarlierModel(self._goal, study, questions) for study in useful]
        return self._models


def _is_right(model: EarlierModel, expected: Floats, values: Floats) -> bool:
    """Whether expectations ``(n, m)`` have clearly positive rank correlations with results ``(n, m)``."""
    ranks = rankdata(expected, axis=0), rankdata(values, axis=0)
    return all(cautious_correlation(ranks[0][:, place], ranks[1][:, place]) > 0 for place in model.objectives)
