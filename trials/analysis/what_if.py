"""What a random forest predicts for a trial with one choice changed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from sklearn.ensemble import RandomForestRegressor

from nas.strategies.pareto import Floats
from trials.analysis.choices import MIN_COMPLETE, ChoiceResults
from trials.analysis.ranks import spearman

#: Most trials that a forest learns from; more are drawn at random.
MAX_TRIALS = 1000
_TREES = 40


@dataclass(frozen=True)
class Forests:
    """One random forest (Breiman 2001) per objective, which predicts it from the codes of the choices."""

    metrics: tuple[str, ...]
    forests: tuple[Any, ...]
    #: Spearman's rank correlation, for each objective, of its values with predictions by trees that had not seen them.
    spearman: tuple[float, ...]
    #: Number of trials that were learned from.
    used: int

    def predict(self, codes: Any) -> Floats:
        """Return means and standard deviations over trees ``(k, m, 2)`` of the objectives of k networks ``(k, d)``."""
        found = [np.stack([tree.predict(codes) for tree in forest.estimators_]) for forest in self.forests]
        return np.stack([np.stack([each.mean(axis=0), each.std(axis=0)], axis=1) for each in found], axis=1)


def fit_forests(results: ChoiceResults, seed: int = 0) -> Forests | None:
    """Fit the forests; None if there are fewer than 20 complete trials, or no choices."""
    used = results.sample(MAX_TRIALS, seed)
    if len(used.numbers) < MIN_COMPLETE or not used.names:
        return None
    forests, ranks = [], []
    for values in used.values.T:
        forest = RandomForestRegressor(
            _TREES, max_features=1 / 3, min_samples_leaf=2, oob_score=True, random_state=seed
        )
        forests.append(forest.fit(used.codes, values))
        constant = np.ptp(values) == 0 or np.ptp(forest.oob_prediction_) == 0
        ranks.append(np.nan if constant else spearman(forest.oob_prediction_, values))
    return Forests(used.metrics, tuple(forests), tuple(ranks), len(used.numbers))
