"""Starts a study from the results of earlier ones, as long as these predict its own results."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
from scipy.stats import spearmanr

from nas.strategies import FEATURES, EarlierStudy, Goal, Observation
from nas.strategies.pareto_bo.codes import Coder, Levels, levels_of
from nas.strategies.pareto_bo.earlier import EarlierModel, best_answers, is_useful
from nas.strategies.seeds import suggestion_seed

if TYPE_CHECKING:
    from nas.space.chooser import Value

#: Smallest number of results by which an earlier study is judged.
_FEWEST = 4
#: Largest number of networks of an earlier study's front that are considered for a proposal.
_PARENTS = 20


class WarmStart:
    """The earlier studies that a study starts from: their models, and the networks that are tried first.

    Args:
        goal: objectives of the study.
        seed: seed of the study.
        studies: results of earlier studies.
        num_first: number of candidates before the first model of the study; half of them may be from earlier studies.
    """

    def __init__(self, goal: Goal, seed: int, studies: Sequence[EarlierStudy], num_first: int) -> None:
        self._goal, self._studies, self._num = goal, studies, (num_first + 1) // 2
        self._order = np.random.default_rng(suggestion_seed(seed, 0)).permutation(self._num)
        self._models: dict[str, EarlierModel] | None = None

    def models(self, known: Sequence[Observation]) -> list[EarlierModel]:
        """The models of all earlier studies that have something in common with the study."""
        return list(self._models_by_study(known).values())

    def first(self, number: int, known: Sequence[Observation]) -> tuple[str, Mapping[str, Value]] | None:
        """The network of an earlier study to try as suggestion ``number``: the name of that study, and the answers.

        Every second one of the first suggestions comes from the front of an earlier study, in turns and spread over the
        fronts. A study whose predictions contradict the results is not tried again.
        """
        place = number // 2
        trusted = [study for study in self._studies if not self._is_wrong(study, known)]
        if number % 2 or place >= self._num or not trusted:
            return None
        study = trusted[place % len(trusted)]
        if not (best := best_answers(self._goal, study)):
            return None
        share = float(self._order[place]) / max(1, self._num - 1)
        return study.name, best[round(share * (len(best) - 1))]

    def parents(self, coder: Coder) -> Levels:
        """Indices ``(p, d)`` of the answers on the fronts of earlier studies; a missing answer is the first option."""
        rows = []
        for study in self._studies:
            best = best_answers(self._goal, study)
            for place in np.unique(np.linspace(0, len(best) - 1, min(_PARENTS, len(best))).round().astype(int)):
                rows.append(coder.nearest(best[place]))
        return np.array(rows, dtype=np.int64).reshape(-1, len(coder.questions))

    def _is_wrong(self, study: EarlierStudy, known: Sequence[Observation]) -> bool:
        """Whether the predictions of an earlier study do not correlate with the results of an objective."""
        complete = [item for item in known if item.state == "complete" and item.suggestion.questions]
        if len(complete) < _FEWEST or (model := self._models_by_study(known).get(study.name)) is None:
            return False
        coder = Coder(complete[0].suggestion.questions)
        levels = np.stack([levels_of(coder, item.suggestion) for item in complete])
        expected = model.built(levels, [item.suggestion.sampler_state.get(FEATURES, {}) for item in complete])
        for place, name in enumerate(self._goal.objectives):
            values = np.array([item.values.get(name, math.nan) for item in complete])
            varies = np.ptp(expected[:, place]) > 0 and np.ptp(values) > 0
            if varies and not spearmanr(expected[:, place], values).statistic > 0:
                return True
        return False

    def _models_by_study(self, known: Sequence[Observation]) -> dict[str, EarlierModel]:
        if self._models is None:
            questions = next((item.suggestion.questions for item in known if item.suggestion.questions), ())
            if not questions:
                return {}
            useful = [item for item in self._studies if is_useful(self._goal, item, questions)]
            self._models = {item.name: EarlierModel(self._goal, item, questions) for item in useful}
        return self._models
