"""How well scores after few epochs rank complete candidates."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from tests.browser.seed import seed_database
from trials.analysis.rungs import rung_correlations
from trials.cli.views import costs_json
from trials.reporting.report.tables import rung_table
from trials.reporting.study import study_view
from trials.store.models import Candidate, EpochRow, Metric, Study
from trials.store.read.studies import study_summary
from trials.store.store import Store

#: After 1, 3 and 9 epochs, of six candidates by their final accuracy: the first rank is right but for one pair.
CURVES = [(1, 2, 3), (2, 1, 4), (3, 3, 5), (4, 4, 6), (5, 5, 7), (6, 6, 8)]


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    """A study of which six candidates are complete, with planted curves."""
    store = Store(f"sqlite:///{tmp_path / 'nas.db'}")
    seed_database(store.engine)
    with Session(store.engine) as session:
        study = session.scalars(select(Study).where(Study.name == "digits")).one()
        study.plan = {**study.plan, "estimator": {"name": "training", "epochs": 9, "halving": {}}}
        candidates = session.scalars(
            select(Candidate).where(Candidate.study_id == study.id, Candidate.state == "complete")
        )
        for place, candidate in enumerate(candidates.all()):
            session.execute(delete(EpochRow).where(EpochRow.candidate_id == candidate.id))
            if place >= len(CURVES):
                candidate.state = "stopped"
                continue
            accuracy = select(Metric).where(Metric.candidate_id == candidate.id, Metric.name == "accuracy")
            session.scalars(accuracy).one().value = CURVES[place][2]
            for epoch, value in zip((0, 2, 8), CURVES[place], strict=True):
                session.add(EpochRow(candidate_id=candidate.id, epoch=epoch, values={"accuracy": value}))
        session.commit()
    yield store
    store.close()


def test_each_rung_has_its_rank_correlation_with_the_final_score(store: Store) -> None:
    first, second = rung_correlations(store, study_summary(store, "digits"))
    assert (first.metric, first.epochs, first.of, first.count, first.spearman) == ("accuracy", 1, 9, 6, 1.0)
    assert (second.epochs, second.spearman) == (3, pytest.approx(1 - 6 * 2 / (6 * 35)))


def test_report_and_command_line_show_the_correlations(store: Store) -> None:
    with study_view(store, "digits") as study:
        table, values = rung_table(study), costs_json(study)["rung_correlations"]
    assert table is not None
    assert [[cell.text for cell in row] for row in table.rows] == [
        ["Accuracy after 1 of 9 epochs", "1.000", "6"],
        ["Accuracy after 3 of 9 epochs", "0.943", "6"],
    ]
    assert [item["epochs"] for item in values] == [1, 3]


def test_too_few_complete_candidates_have_no_correlation(store: Store) -> None:
    with Session(store.engine) as session:
        for candidate in session.scalars(select(Candidate).where(Candidate.state == "complete")).all()[2:]:
            candidate.state = "stopped"
        session.commit()
    assert rung_correlations(store, study_summary(store, "digits")) == []
