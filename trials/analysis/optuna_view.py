"""Copy a stored study into an ordinary Optuna study, for Optuna's plots, importances and dashboard."""

from __future__ import annotations

import logging
import math
import os
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from typing import Any

import optuna
from optuna.distributions import BaseDistribution, CategoricalDistribution
from optuna.exceptions import DuplicatedStudyError, ExperimentalWarning, StorageInternalError
from optuna.trial import FrozenTrial, TrialState

from nas.errors import StoreError, StudyError
from nas.foreign import lines
from nas.strategies import Goal, Limit, Observation
from nas.strategies.outcomes import Worst
from trials.store.database.engine import check_reachable
from trials.store.database.urls import parse_url, shown
from trials.store.models import Study
from trials.store.read.history import stored_suggestions
from trials.store.read.rows import study_row
from trials.store.records import StoredSuggestion
from trials.store.store import Store

STATES = {
    "complete": TrialState.COMPLETE,
    "infeasible": TrialState.COMPLETE,
    "stopped": TrialState.PRUNED,
    "measured_only": TrialState.PRUNED,
    "paused": TrialState.PRUNED,
    "failed": TrialState.FAIL,
}


def optuna_study(url: str, name: str, *, active_only: bool = False) -> optuna.Study:
    """Return the study ``name`` as an in-memory ``optuna.Study``, with one trial for each finished candidate.

    Infeasible candidates are complete trials with a positive constraint. If an objective of such a candidate was not
    measured, it has the worst value seen, and the trial's user attribute ``placeholders`` names it. Candidates that
    were stopped, that wait at a rung, or that were measured without being trained are pruned trials. Other user
    attributes are ``suggestion`` (its number in the database), ``state``, and every metric as ``name@target``. The
    trials have the time of the copy.

    Args:
        url: URL of the database.
        name: name of the study.
        active_only: leave out answers that had no effect on the candidate, such as parameters of skipped slots.

    Raises:
        UnknownNameError: the study does not exist.
    """
    store = Store(url)
    try:
        row = store.read(study_row, name)
        stored = store.read(stored_suggestions, row.id)
    finally:
        store.close()
    study = new_study(row.objectives, name)
    study.add_trials(_trials(row, stored, active_only))
    return study


def export_rdb(url: str, name: str, rdb_url: str) -> None:
    """Write the study ``name`` into an Optuna database for optuna-dashboard; the database is created if missing.

    This takes about 50 ms per candidate.

    Raises:
        UnknownNameError: the study does not exist.
        StudyError: the Optuna database has a study of this name, or is the project's own database.
        StoreError: the Optuna database can't be opened or written.
    """
    if _place(url) == _place(rdb_url):
        raise StudyError(f"{shown(rdb_url)} is this project's own database; write Optuna's to another one")
    view = optuna_study(url, name)  # must precede opening the other database, which creates its file
    check_reachable(rdb_url)
    try:
        directions = [direction.name.lower() for direction in view.directions]
        study = new_study(dict(zip(view.metric_names or (), directions, strict=True)), name, rdb_url)
    except DuplicatedStudyError as error:
        raise StudyError(
            f"{shown(rdb_url)} has a study {name!r}; delete it (optuna delete-study) or write to another database"
        ) from error
    except (StorageInternalError, RuntimeError, ValueError) as error:
        raise StoreError(f"{shown(rdb_url)} can't be written as an Optuna database: {lines(str(error))}") from None
    study.add_trials(view.get_trials(deepcopy=False))


def new_study(objectives: Mapping[str, str], name: str, storage: str | None = None) -> optuna.Study:
    """Create an empty Optuna study, in memory unless a storage is given; objectives are ``{metric: direction}``."""
    with _quietly():
        study = optuna.create_study(storage=storage, study_name=name, directions=list(objectives.values()))
        study.set_metric_names(list(objectives))
    return study


@contextmanager
def _quietly() -> Iterator[None]:
    """Suppress Optuna's log line about a new study, and its warning that metric names are experimental."""
    logger = logging.getLogger("optuna.storages")
    level = logger.level
    logger.setLevel(logging.WARNING)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ExperimentalWarning)
            yield
    finally:
        logger.setLevel(level)


def _trials(row: Study, stored: Sequence[StoredSuggestion], active_only: bool) -> Iterator[FrozenTrial]:
    limits = {metric: Limit(**bound) for metric, bound in row.limits.items()}
    goal = Goal(row.objectives, limits)
    finished = [item for item in stored if item.state in STATES and not item.duplicate]
    targets = [str(target["name"]) for target in row.plan.get("targets", ())]
    observations = [_observation(goal, item, targets) for item in finished]
    worst = Worst(goal)
    worst.see(observations)
    for item, observation in zip(finished, observations, strict=True):
        yield _trial(item, observation, worst, goal, active_only)


def _observation(goal: Goal, item: StoredSuggestion, targets: Sequence[str]) -> Observation:
    values = {name: _metric(item, name, targets) for name in (*goal.objectives, *goal.limits)}
    measured = {name: value for name, value in values.items() if value is not None}
    violations = {name: limit.violation(measured[name]) for name, limit in goal.limits.items() if name in measured}
    if item.state == "complete":
        # A complete candidate may exceed a limit slightly, because only a certain violation makes it infeasible.
        violations = {name: min(violation, 0.0) for name, violation in violations.items()}
    own = {name: value for name, value in measured.items() if name in goal.objectives}
    return Observation(item.suggestion, item.state, own, violations)  # type: ignore[arg-type]


def _metric(item: StoredSuggestion, name: str, targets: Sequence[str]) -> float | None:
    """Return a metric's value; a name without target means the metric without target, else the first target's."""
    metric, _, target = name.partition("@")
    for place in (target,) if target else ("", *targets):
        if (metric, place) in item.metrics:
            return item.metrics[metric, place].value
    return None


def _trial(
    item: StoredSuggestion, observation: Observation, worst: Worst, goal: Goal, active_only: bool
) -> FrozenTrial:
    questions = [asked for asked in item.suggestion.questions if asked.active or not active_only]
    distributions: dict[str, BaseDistribution] = {
        question.name: CategoricalDistribution(question.options) for question in questions
    }
    outcome = worst.outcome(observation)
    state = STATES[item.state] if outcome.values or STATES[item.state] == TrialState.PRUNED else TrialState.FAIL
    attributes: dict[str, Any] = {"suggestion": item.suggestion.number, "state": item.state}
    attributes |= {
        f"{metric}@{target}" if target else metric: found.value for (metric, target), found in item.metrics.items()
    }
    if outcome.placeholders:
        measured = [name for name, value in observation.values.items() if math.isfinite(value)]
        attributes["placeholders"] = [name for name in goal.objectives if name not in measured]
    trial = FrozenTrial(
        number=0,
        trial_id=0,
        state=state,
        value=None,
        values=outcome.values,
        params={question.name: item.suggestion.answers[question.name] for question in questions},
        distributions=distributions,
        user_attrs=attributes,
        system_attrs={},
        intermediate_values={},
        datetime_start=datetime.now(),
        datetime_complete=datetime.now(),
    )
    for name, violation in outcome.constraints.items():
        trial.set_constraint(name, violation)
    return trial


def _place(url: str) -> Any:
    """Return a key that is equal for two URLs of the same database."""
    parsed = parse_url(url)
    if parsed.get_backend_name() == "sqlite":
        return os.path.realpath(str(parsed.database))
    return parsed.host, parsed.port, parsed.database
