from __future__ import annotations

from pathlib import Path

import pytest
from sqlalchemy.orm import Session

import measured_nas as mn
from tests.browser.seed import seed_database
from trials.store.database.engine import open_engine
from trials.store.models import Study


def test_the_front_of_one_objective_is_drawn_over_the_numbers_of_trials(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'nas.db'}"
    engine = open_engine(url)
    seed_database(engine)
    with Session(engine) as session:
        session.query(Study).filter_by(name="digits").one().objectives = {"accuracy": "maximize"}
        session.commit()
    study = mn.open_study(url, "digits")
    drawn = {number for trace in study.plot_front().data if trace.x is not None for number in trace.x}
    complete = study.trials().query("state == 'complete'")
    assert set(complete.index) <= drawn
    assert study.front().index.tolist() == [complete["accuracy"].idxmax()]


def test_studies_and_trials_get_notes_and_tags(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'nas.db'}"
    engine = open_engine(url)
    seed_database(engine)
    engine.dispose()
    study = mn.open_study(url, "digits")
    assert study.note("with the new camera").note == "with the new camera"
    assert study.trial(3).note(tags=["phone", "small"]).tags == ("phone", "small")
    kept = study.trial(3).note("try it", untag=["small"])
    assert (kept.note, kept.tags) == ("try it", ("phone",))
    assert study.trial(3).note() == kept
    assert study.note() != kept
    with pytest.raises(mn.NasError, match="tag"):
        study.note(tags=["a b"])
