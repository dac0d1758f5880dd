"""Attempts of final trainings: one at a time, and only the newest writes."""

from __future__ import annotations

import pytest

from nas.errors import StudyError
from trials.jobs.environment import owner
from trials.store.read.final_trainings import final_trainings
from trials.store.store import Store
from trials.store.write.final_trainings import (
    FinalAttempt,
    add_final_epoch,
    begin_final_training,
    fail_final_training,
    finish_final_training,
    interrupt_final_training,
)

GONE = f"{owner().partition(':')[0]}:1:1"


def begin(store: Store, by: str = "elsewhere:1:1") -> FinalAttempt:
    recipe = {"estimator_spec": {"name": "training"}, "teacher": None, "workers": 1, "seed": 0}
    return store.write(begin_final_training, "digits", 0, key="k", recipe=recipe, environment={}, owner=by)


def test_a_running_training_is_left_to_the_process_that_runs_it(store: Store, study) -> None:
    study.new("a")
    begin(store)
    with pytest.raises(StudyError, match="trial 0 of 'digits' is being trained by elsewhere:1:1"):
        begin(store, by=owner())
    assert begin(store).attempt == 2, "the same process may begin again"


def test_a_training_whose_process_is_gone_is_interrupted_and_can_continue(store: Store, study) -> None:
    study.new("a")
    begun = begin(store, by=GONE)
    store.write(add_final_epoch, begun, 0, {"loss": 1.0})
    (found,) = final_trainings(store, "digits")[0]
    assert (found.state, found.curve.epochs) == ("interrupted", (0,))
    assert begin(store, by=owner()) == FinalAttempt(begun.training_id, 2, complete=False)


def test_an_earlier_attempt_writes_nothing_any_more(store: Store, study) -> None:
    study.new("a")
    former, current = begin(store, by=GONE), begin(store)
    store.write(finish_final_training, former, {"metrics": {}})
    store.write(fail_final_training, former, "late", "late")
    with pytest.raises(StudyError, match="another process has taken over"):
        store.write(add_final_epoch, former, 0, {"loss": 1.0})
    (found,) = final_trainings(store, "digits")[0]
    assert (found.state, found.error, found.curve.epochs) == ("running", None, ())
    store.write(interrupt_final_training, current, "why")
    (found,) = final_trainings(store, "digits")[0]
    assert (found.state, found.error) == ("interrupted", "why")


def test_a_complete_training_stays_as_it_is(store: Store, study) -> None:
    study.new("a")
    scores = {"metrics": {"accuracy": 0.5, "size_bytes": 9}, "intervals": {"accuracy": [0.4, 0.6]}}
    store.write(finish_final_training, begin(store), scores)
    assert begin(store, by=owner()).complete
    (found,) = final_trainings(store, "digits")[0]
    assert (found.state, {name: value.value for name, value in found.scores.items()}) == ("complete", {"accuracy": 0.5})
