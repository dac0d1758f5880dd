from __future__ import annotations

from collections.abc import Iterator

import pytest
from sqlalchemy.orm import Session

from nas.strategies import PREDICTED
from tests.browser.seed import seed_database
from tests.browser.seed_targets import NAME, seed_targets
from trials.analysis.predictions import prediction_errors
from trials.store.models import Candidate, SuggestionRow
from trials.store.read.predictions import PredictedLatency, predicted_latencies
from trials.store.store import Store


def predicted(target: str, guess: float, true: float, low: float = 0.0, high: float = 100.0) -> PredictedLatency:
    return PredictedLatency(0, target, guess, low, high, true)


def test_errors_are_relative_to_the_measured_latency() -> None:
    pairs = [predicted("a", 1.1, 1.0), predicted("b", 3, 3), predicted("a", 1.6, 2.0), predicted("a", 4, 4.0, 5, 6)]
    first, second = prediction_errors(pairs)
    assert (first.target, first.count, second.target, second.count) == ("a", 3, "b", 1)
    assert first.median_relative_error == pytest.approx(0.1)
    assert first.spearman == pytest.approx(1.0)
    assert first.share_in_interval == pytest.approx(2 / 3)
    assert second.spearman is None
    assert prediction_errors([]) == []


@pytest.fixture
def store(store_url: str) -> Iterator[Store]:
    opened = Store(store_url)
    yield opened
    opened.close()


def test_each_target_has_its_own_prediction_and_duplicates_have_none(store: Store) -> None:
    """A prediction of ``latency_ms`` is one for the first target; a duplicate was measured before its suggestion."""
    seed_database(store.engine)
    seed_targets(store.engine)
    with Session(store.engine) as session:
        rows = session.query(SuggestionRow).join(Candidate).order_by(Candidate.number).all()
        rows[0].sampler_state = {PREDICTED: {"latency_ms@phone": [2.0, 1.0, 3.0], "size_bytes": [1, 1, 1]}}
        rows[1].duplicate = True
        first, _, *others = [session.get_one(Candidate, row.candidate_id).number for row in rows]
        session.commit()
    found = predicted_latencies(store, NAME)
    assert {item.number for item in found if item.target == "phone"} == {first}
    assert [item.number for item in found if item.target == "local"] == others
    assert all(item.predicted_ms == pytest.approx(1.04 * item.measured_ms) for item in found if item.target == "local")
