"""Recommended trials, checked against a slow reading of the rows."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.browser.seed import seed_database
from trials.reporting.recommend import best_within, cheapest_alike
from trials.reporting.study import StudyView, study_view
from trials.store.database.engine import open_engine


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Iterator[StudyView]:
    engine = open_engine(f"sqlite:///{tmp_path_factory.mktemp('recommend') / 'nas.db'}")
    seed_database(engine)
    with study_view(engine, "digits") as view:
        yield view
    engine.dispose()


def complete(study: StudyView) -> list[tuple[int, float, float, float]]:
    """Number, accuracy, its low end, and latency of each complete trial."""
    rows = [row for row in study.rows(range(30)).values() if row.state == "complete"]
    return [
        (row.number, row.metrics["accuracy"].value, row.metrics["accuracy"].low, row.metrics["latency_ms"].value)
        for row in rows
    ]


def test_the_best_within_a_limit(study: StudyView) -> None:
    for bound in (0.1, 0.2, 0.31):
        within = [trial for trial in complete(study) if trial[3] <= bound]
        assert best_within(study.points, bound) == max(within, key=lambda trial: trial[1])[0]
    assert best_within(study.points, 0.01) is None


def test_the_fastest_that_is_not_shown_to_be_worse(study: StudyView) -> None:
    trials = complete(study)
    best = max(trials, key=lambda trial: trial[1])
    alike = [trial for trial in trials if trial[1] >= best[2]]
    assert len(alike) > 1
    assert cheapest_alike(study.points) == min(alike, key=lambda trial: trial[3])[0]


def test_each_recommended_trial_comes_once_with_its_reasons(study: StudyView) -> None:
    numbers = [item.number for item in study.recommended]
    assert len(set(numbers)) == len(numbers)
    text = "; ".join(item.reason for item in study.recommended)
    assert "best accuracy" in text
    assert "best latency within the interval of the best accuracy" in text
    assert "knee of the front" in text
