"""Importance of each choice of a space for each objective."""

from __future__ import annotations

import warnings
from typing import Literal

from optuna.importance import (
    BaseImportanceEvaluator,
    FanovaImportanceEvaluator,
    PedAnovaImportanceEvaluator,
    get_param_importances,
)
from optuna.trial import FrozenTrial, TrialState, create_trial

from nas.errors import StudyError
from trials.analysis.choices import MIN_COMPLETE
from trials.analysis.optuna_view import new_study, optuna_study

Evaluator = Literal["ped_anova", "fanova"]


def importances(url: str, name: str, evaluator: Evaluator = "ped_anova", seed: int = 0) -> dict[str, dict[str, float]]:
    """Return objective → choice → importance, largest first; the importances for an objective sum to 1.

    Only complete candidates are used, because placeholder values of infeasible ones would count as measurements.

    Args:
        url: URL of the database.
        name: name of the study.
        evaluator: ``ped_anova`` (Watanabe et al. 2023): how well a choice separates the best tenth from the others;
            answers of skipped slots are ignored. ``fanova`` (Hutter et al. 2014): share of a random forest's variance.
        seed: seed of the forest.

    Raises:
        UnknownNameError: the study does not exist.
        StudyError: there are fewer than 20 complete candidates, or the evaluator is unknown.
    """
    if evaluator not in ("ped_anova", "fanova"):
        raise StudyError(f"evaluator {evaluator!r}; allowed: ped_anova, fanova")
    view = optuna_study(url, name, active_only=evaluator == "ped_anova")
    complete = [trial for trial in view.trials if trial.user_attrs["state"] == "complete"]
    complete = [trial for trial in complete if trial.state == TrialState.COMPLETE]
    if len(complete) < MIN_COMPLETE:
        raise StudyError(f"study {name!r} has {len(complete)} complete candidates; importances need {MIN_COMPLETE}")
    directions = [direction.name.lower() for direction in view.directions]
    found = {}
    for place, objective in enumerate(view.metric_names or ()):
        study = new_study({objective: directions[place]}, name)
        study.add_trials(_with_value(trial, place) for trial in complete)
        with warnings.catch_warnings():
            # A choice that was active in only one candidate gets no importance.
            warnings.filterwarnings("ignore", message="Some regimes for parameter")
            found[objective] = get_param_importances(study, evaluator=_evaluator(evaluator, seed))
    return found


def _evaluator(name: Evaluator, seed: int) -> BaseImportanceEvaluator:
    return PedAnovaImportanceEvaluator() if name == "ped_anova" else FanovaImportanceEvaluator(seed=seed)


def _with_value(trial: FrozenTrial, place: int) -> FrozenTrial:
    return create_trial(params=trial.params, distributions=trial.distributions, value=trial.values[place])
