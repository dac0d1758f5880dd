"""In-memory storage of the window of trials that an Optuna sampler reads."""

from __future__ import annotations

import copy
from collections.abc import Container, Sequence
from datetime import datetime
from typing import Any

from optuna.distributions import BaseDistribution
from optuna.storages import BaseStorage
from optuna.study import StudyDirection
from optuna.study._frozen import FrozenStudy
from optuna.trial import FrozenTrial, TrialState

_STUDY_ID = 0


class WindowStorage(BaseStorage):  # type: ignore[misc]
    """Storage of one study, whose trials may be left out and replaced; for one thread.

    Optuna's own in-memory storage numbers trials without gaps and freezes finished trials. Here the id and number of a
    trial are the number of its suggestion, so that attributes that refer to trials (NSGA-II's parents) stay valid when
    old trials are left out. Writes change trials in place, also those that were read before.
    """

    def __init__(self) -> None:
        self.trials: dict[int, FrozenTrial] = {}
        self.study_attrs: dict[str, Any] = {}
        #: Number of the trial that the next ``Study.ask`` makes.
        self.next_number = 0
        self._user_attrs: dict[str, Any] = {}
        self._name = ""
        self._directions: list[StudyDirection] = []

    def put(self, trial: FrozenTrial) -> None:
        """Add a trial, or replace the trial with the same number."""
        self.trials[trial.number] = trial

    # -- the study

    def create_new_study(self, directions: Sequence[StudyDirection], study_name: str | None = None) -> int:
        """See ``BaseStorage``."""
        self._directions = list(directions)
        self._name = study_name or "window"
        return _STUDY_ID

    def delete_study(self, study_id: int) -> None:
        """See ``BaseStorage``; removes everything."""
        self.trials.clear()
        self.study_attrs.clear()
        self._user_attrs.clear()

    def get_all_studies(self) -> list[FrozenStudy]:
        """See ``BaseStorage``."""
        return [
            FrozenStudy(
                self._name,
                None,
                dict(self._user_attrs),
                dict(self.study_attrs),
                _STUDY_ID,
                directions=self._directions,
            )
        ]

    def get_study_id_from_name(self, study_name: str) -> int:
        """See ``BaseStorage``."""
        if study_name != self._name:
            raise KeyError(study_name)
        return _STUDY_ID

    def get_study_name_from_id(self, study_id: int) -> str:
        """See ``BaseStorage``."""
        return self._name

    def get_study_directions(self, study_id: int) -> list[StudyDirection]:
        """See ``BaseStorage``."""
        return self._directions

    def get_study_user_attrs(self, study_id: int) -> dict[str, Any]:
        """See ``BaseStorage``."""
        return self._user_attrs

    def set_study_user_attr(self, study_id: int, key: str, value: Any) -> None:
        """See ``BaseStorage``."""
        self._user_attrs[key] = value

    def get_study_system_attrs(self, study_id: int) -> dict[str, Any]:
        """See ``BaseStorage``."""
        return self.study_attrs

    def set_study_system_attr(self, study_id: int, key: str, value: Any) -> None:
        """See ``BaseStorage``."""
        self.study_attrs[key] = value

    # -- its trials

    def create_new_trial(self, study_id: int, template_trial: FrozenTrial | None = None) -> int:
        """See ``BaseStorage``; makes a running trial or a copy of the template, with the number ``next_number``."""
        number = self.next_number
        if template_trial is None:
            trial = running_trial(number, {}, {}, {})
        else:
            trial = copy.deepcopy(template_trial)
            trial.number = trial._trial_id = number
        self.put(trial)
        return number

    def set_trial_param(
        self, trial_id: int, param_name: str, param_value_internal: float, distribution: BaseDistribution
    ) -> None:
        """See ``BaseStorage``."""
        trial = self.trials[trial_id]
        trial.params[param_name] = distribution.to_external_repr(param_value_internal)
        trial.distributions[param_name] = distribution

    def set_trial_state_values(self, trial_id: int, state: TrialState, values: Sequence[float] | None = None) -> bool:
        """See ``BaseStorage``."""
        trial = self.trials[trial_id]
        if state == TrialState.RUNNING and trial.state != TrialState.WAITING:
            return False
        trial.state = state
        if values is not None:
            trial.values = values
        if state.is_finished():
            trial.datetime_complete = datetime.now()
        return True

    def set_trial_intermediate_value(self, trial_id: int, step: int, intermediate_value: float) -> None:
        """See ``BaseStorage``."""
        self.trials[trial_id].intermediate_values[step] = intermediate_value

    def set_trial_user_attr(self, trial_id: int, key: str, value: Any) -> None:
        """See ``BaseStorage``."""
        self.trials[trial_id].user_attrs[key] = value

    def set_trial_system_attr(self, trial_id: int, key: str, value: Any) -> None:
        """See ``BaseStorage``."""
        self.trials[trial_id].system_attrs[key] = value

    def get_trial(self, trial_id: int) -> FrozenTrial:
        """See ``BaseStorage``."""
        return self.trials[trial_id]

    def get_all_trials(
        self, study_id: int, deepcopy: bool = True, states: Container[TrialState] | None = None
    ) -> list[FrozenTrial]:
        """See ``BaseStorage``; trials are in the order of their numbers."""
        found = [trial for trial in self.trials.values() if states is None or trial.state in states]
        return copy.deepcopy(found) if deepcopy else found


def running_trial(
    number: int, params: dict[str, Any], distributions: dict[str, BaseDistribution], attrs: dict[str, Any]
) -> FrozenTrial:
    """A trial that was suggested and has no result yet."""
    return FrozenTrial(
        number=number,
        trial_id=number,
        state=TrialState.RUNNING,
        value=None,
        params=params,
        distributions=distributions,
        user_attrs={},
        system_attrs=attrs,
        intermediate_values={},
        datetime_start=datetime.now(),
        datetime_complete=None,
    )
