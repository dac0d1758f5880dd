"""Training a candidate again gives the weights of the search, and differences are said."""

from __future__ import annotations

import pytest
from sqlalchemy import update

from nas.errors import StudyError
from trials.launch.training.reproducing import reproduce
from trials.store.models import ArtifactRow, EpochRow, Study
from trials.store.read.rows import study_row
from trials.store.store import Store


def test_a_training_of_the_search_gives_equal_weights_again(store: Store) -> None:
    found = reproduce(store, "study", 0)
    assert found.is_equal
    assert found.recorded_sha256 == found.found_sha256
    assert not found.differences
    assert all(old == new for old, new in found.scores.values())


def test_other_weights_and_curves_are_told_from_other_environments(store: Store) -> None:
    with store.transaction() as connection:
        connection.execute(update(ArtifactRow).where(ArtifactRow.kind == "weights").values(sha256="0" * 64))
        connection.execute(update(EpochRow).values(values={"train_loss": 1.0, "accuracy": 0.5, "seconds": 1.0}))
    found = reproduce(store, "study", 0)
    assert (found.is_equal, found.first_other_epoch, found.differences) == (False, 0, ())
    assert found.verdict.startswith("NOT REPRODUCED")
    environment = store.read(study_row, "study").environment
    older = {**environment, "processor": "Z80", "packages": {**environment["packages"], "torch": "1.0"}}
    with store.transaction() as connection:
        connection.execute(update(Study).values(environment=older))
    found = reproduce(store, "study", 0)
    assert [text.partition(" in the search")[0] for text in found.differences] == ["processor Z80", "torch 1.0"]
    assert "the environments differ" in found.verdict


def test_a_trial_that_was_not_trained_can_not_be_trained_again(store: Store) -> None:
    with store.transaction() as connection:
        connection.execute(update(ArtifactRow).values(kind="onnx"))
    with pytest.raises(StudyError, match=r"trial 1 of 'study' is complete .*was not trained"):
        reproduce(store, "study", 1)
