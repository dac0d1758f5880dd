from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import Engine
from sqlalchemy.orm import Session

from tests.browser.seed import seed_database
from tests.browser.seed_sparse import REGIME, seed_sparse
from trials.store.database.engine import open_engine
from trials.store.models import Candidate, Metric, Study
from trials.store.read.protocols import Evidence, SparseStudy, describe_regime
from trials.store.read.studies import list_studies, study_summary


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    engine = open_engine(f"sqlite:///{tmp_path / 'nas.db'}")
    seed_database(engine)
    seed_sparse(engine)
    yield engine
    engine.dispose()


@pytest.mark.parametrize(
    ("evidence", "missing"),
    [
        (Evidence(None, has_random_masks=False, is_timed=False), []),
        (Evidence(REGIME, has_random_masks=True, is_timed=True), []),
        (Evidence({}, has_random_masks=True, is_timed=True), ["no declared regime"]),
        (Evidence(REGIME, has_random_masks=False, is_timed=True), ["no random-mask baseline"]),
        (Evidence(REGIME, has_random_masks=True, is_timed=False), ["no measured latency"]),
    ],
)
def test_each_part_of_the_protocol_is_asked_for(evidence: Evidence, missing: list[str]) -> None:
    assert SparseStudy().missing(evidence) == missing


def test_a_sparse_study_lacks_what_it_does_not_have(engine: Engine) -> None:
    """Read from the database: a complete study has all three parts; each part taken away is reported as missing."""
    lacking = {row.name: row.incomplete for row in list_studies(engine)}
    assert lacking.pop("bare") == ("no declared regime", "no random-mask baseline", "no measured latency")
    assert set(lacking.values()) == {()}
    with Session(engine) as session:
        session.query(Study).filter_by(name="sparse").one().regime = {}
        session.commit()
    assert study_summary(engine, "sparse").row.incomplete == ("no declared regime",)
    with Session(engine) as session:
        masks = session.query(Study).filter_by(name="sparse-random-mask").one()
        session.query(Candidate).filter_by(study_id=masks.id).update({"state": "failed"})
        session.commit()
    assert study_summary(engine, "sparse").row.incomplete == ("no declared regime", "no random-mask baseline")
    with Session(engine) as session:
        session.query(Metric).filter_by(name="dense_latency_ms").delete()
        session.commit()
    assert len(study_summary(engine, "sparse").row.incomplete) == 3


def test_a_regime_in_words() -> None:
    assert describe_regime(None) == ""
    assert "does not declare" in describe_regime({})
    words = "sparse during training, static masks, unstructured or semi-structured"
    assert describe_regime(REGIME) == words
    assert describe_regime({**REGIME, "dynamic": True}) == words.replace("static", "dynamic")
