from __future__ import annotations

from collections.abc import Iterator
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest

from tests.browser.seed import seed_database
from tests.browser.seed_targets import NAME, OTHER, seed_targets
from trials.analysis.by_target import fronts_by_target, goals_at, rank_correlations
from trials.cli.views import targets_json
from trials.reporting.study import study_view
from trials.store.read.points import front, points
from trials.store.read.studies import study_summary
from trials.store.store import Store


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    path: Path = tmp_path_factory.mktemp("targets")
    store = Store(f"sqlite:///{path / 'nas.db'}")
    seed_database(store.engine)
    seed_targets(store.engine)
    yield store
    store.close()


def test_each_target_has_the_front_of_its_own_latency(store: Store) -> None:
    fronts = fronts_by_target(store, study_summary(store, NAME))
    assert list(fronts) == ["local", OTHER]
    assert sorted(fronts["local"].numbers[fronts["local"].on_front]) == sorted(front(store, NAME).numbers)
    found = fronts[OTHER]
    own = found.take(found.states == "complete")
    for row in range(len(own.numbers)):
        better = (own.values[:, 0] > own.values[row, 0]) & (own.values[:, 1] < own.values[row, 1])
        assert own.on_front[row] == (not better.any())
    assert fronts_by_target(store, study_summary(store, "digits")) == {}


def test_an_objective_of_one_target_is_taken_on_the_other() -> None:
    objectives = {"accuracy": "maximize", "latency_ms@a": "minimize", "size_bytes": "minimize"}
    expected = {"accuracy": "maximize", "latency_ms@b": "minimize", "size_bytes": "minimize"}
    assert goals_at(objectives, "b") == expected
    assert goals_at({"latency_ms": "minimize", "latency_ms@b": "minimize"}, "a") == {"latency_ms@a": "minimize"}


def test_the_rank_correlation_counts_pairs_in_the_same_order(store: Store) -> None:
    (found,) = rank_correlations(store, study_summary(store, NAME))
    both = points(store, NAME, ["latency_ms@local", f"latency_ms@{OTHER}"]).values
    both = both[np.isfinite(both).all(axis=1)]
    signs = [np.sign(a[0] - b[0]) * np.sign(a[1] - b[1]) for a, b in combinations(both, 2)]
    assert found.count == len(both)
    assert found.tau == pytest.approx(np.mean(signs))
    with study_view(store, NAME) as study:
        shown = targets_json(study)
    assert set(shown["fronts"]) == {"local", OTHER}
    assert all(0 < share <= 1 for shares in shown["fronts"].values() for share in shares.values())
    assert shown["rank_correlations"][0]["tau"] == found.tau
    with study_view(store, "digits") as study:
        assert targets_json(study) == {"fronts": {}, "rank_correlations": [], "prediction_errors": []}
