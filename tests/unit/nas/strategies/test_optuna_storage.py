"""The storage supports a whole Optuna study, as Optuna's in-memory storage does."""

from __future__ import annotations

import optuna
import pytest
from optuna.trial import TrialState, create_trial

from nas.strategies.optuna_storage import WindowStorage


def objective(trial: optuna.Trial) -> tuple[float, float]:
    x, kind = trial.suggest_float("x", -1, 1), trial.suggest_categorical("kind", ["a", "b"])
    trial.set_user_attr("seen", kind)
    return x**2, (x - 1) ** 2 + (kind == "a")


@pytest.mark.parametrize("make", [optuna.samplers.NSGAIISampler, optuna.samplers.TPESampler])
def test_a_study_finds_the_same_as_in_memory(make: type[optuna.samplers.BaseSampler]) -> None:
    found = []
    for storage in (WindowStorage(), optuna.storages.InMemoryStorage()):
        study = optuna.create_study(storage=storage, directions=["minimize"] * 2, sampler=make(seed=1))
        for number in range(60):
            if isinstance(storage, WindowStorage):
                storage.next_number = number
            trial = study.ask()
            study.tell(trial, objective(trial))
        found.append([(trial.params, trial.values, trial.user_attrs) for trial in study.trials])
    assert found[0] == found[1]


def test_attributes_names_and_templates() -> None:
    storage = WindowStorage()
    study = optuna.create_study(storage=storage, study_name="here", directions=["maximize"])
    study.set_user_attr("who", "me")
    storage.set_study_system_attr(0, "parents", [1])
    assert (study.user_attrs, storage.get_study_system_attrs(0)) == ({"who": "me"}, {"parents": [1]})
    assert storage.get_study_name_from_id(storage.get_study_id_from_name("here")) == "here"
    assert [frozen.study_name for frozen in storage.get_all_studies()] == ["here"]
    with pytest.raises(KeyError):
        storage.get_study_id_from_name("there")
    storage.next_number = 7
    study.add_trial(create_trial(value=2.0))
    assert [(trial.number, trial.value) for trial in study.trials] == [(7, 2.0)]
    assert study.best_value == 2.0
    storage.next_number = 9
    running = study.ask()
    running.report(0.5, step=3)
    assert not storage.set_trial_state_values(9, TrialState.RUNNING)
    assert storage.get_trial(9).intermediate_values == {3: 0.5}
    storage.delete_study(0)
    assert study.trials == []
