from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import Engine

from tests.browser.seed import seed_database
from tests.browser.seed_sparse import COMPANIONS, seed_sparse
from trials.analysis.compared import compared
from trials.reporting.comparison import comparison
from trials.store.database.engine import open_engine
from trials.store.read.candidates import candidates_page
from trials.store.read.points import front
from trials.store.read.speedups import Speedup, flags


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    engine = open_engine(f"sqlite:///{tmp_path_factory.mktemp('comparison') / 'nas.db'}")
    seed_database(engine)
    seed_sparse(engine)
    yield engine
    engine.dispose()


def sparse_on_front(engine: Engine) -> list[int]:
    """The sparse candidates on the front, computed simply; best accuracy first."""
    rows = candidates_page(engine, "sparse", numbers=front(engine, "sparse").numbers.tolist()).rows
    sparse = [row for row in rows if row.metrics["density"].value < 1]
    return [row.number for row in sorted(sparse, key=lambda row: -row.metrics["accuracy"].value)]


def test_compared_are_the_best_and_others_of_the_front_that_policies_changed(engine: Engine) -> None:
    everything = sparse_on_front(engine)
    assert len(everything) >= 3
    assert compared(engine, "sparse", 100) == compared(engine, "sparse", 100, only_sparse=True) == everything
    assert compared(engine, "sparse", 1) == everything[:1]
    assert compared(engine, "sparse", 2) == [everything[0], everything[-1]]
    assert compared(engine, "digits", 4) == []


def test_each_found_network_stands_beside_what_it_is_compared_with(engine: Engine) -> None:
    table = comparison(engine, "sparse")
    assert table is not None
    numbers = compared(engine, "sparse", 4)
    assert [row.found_number for row in table.rows] == [key for key in numbers for _ in range(3)] + [None]
    assert [row.what for row in table.rows[:3]] == ["found", "random masks, equal density", "dense parent"]
    assert table.rows[-1].study == "sparse-timm_model-small"
    for found, random, dense in zip(table.rows[0:-1:3], table.rows[1::3], table.rows[2::3], strict=True):
        for row, role in ((random, "random_mask"), (dense, "dense")):
            own, other = found.value("accuracy"), row.value("accuracy")
            assert own is not None
            assert other is not None
            assert other.value == pytest.approx(own.value * COMPANIONS[role][0])
        assert random.value("density") == found.value("density")
        density = dense.value("density")
        assert density is not None
        assert density.value == 1
    assert set(table.metrics) >= {"accuracy", "latency_ms", "size_bytes", "nonzero_bytes", "density"}


def test_the_verdict_is_the_mean_of_paired_differences(engine: Engine) -> None:
    table = comparison(engine, "sparse")
    assert table is not None
    values = {(row.found_number, row.what): row.value("accuracy") for row in table.rows}
    differences = [
        found.value - random.value
        for (key, what), found in values.items()
        if what == "found" and found and (random := values[key, "random masks, equal density"])
    ]
    assert f"accuracy: {np.mean(differences):.4g} on average of {len(differences)} pairs" in table.verdict


@pytest.mark.parametrize("name", ["digits", "bare"])
def test_what_was_never_timed_beside_a_twin_is_compared_with_nothing(name: str, engine: Engine) -> None:
    assert comparison(engine, name) is None


def test_a_candidate_no_faster_than_its_twin_says_so(engine: Engine) -> None:
    for row in candidates_page(engine, "sparse").rows:
        if "dense_latency_ms" not in row.metrics:
            assert row.flags == ()
            continue
        own, twin = row.metrics["latency_ms"], row.metrics["dense_latency_ms"]
        assert own.high is not None
        assert twin.low is not None
        assert row.flags == (() if own.high < twin.low else ("sparser but not faster",))
        assert row.speedups[0].speedup == pytest.approx(twin.value / own.value)


@given(own=st.floats(0.1, 10), dense=st.floats(0.1, 10), spread=st.floats(0, 0.5))
def test_faster_means_that_the_intervals_do_not_meet(own: float, dense: float, spread: float) -> None:
    item = Speedup("pi", own, own * (1 + spread), dense, dense * (1 - spread))
    assert item.is_faster == (own * (1 + spread) < dense * (1 - spread))
    assert not item.is_faster or item.speedup > 1


def test_flags_say_how_it_was_compressed_and_where_it_does_not_help() -> None:
    slow, fast = Speedup("pi", 2.0, 2.1, 1.0, 0.9), Speedup("here", 1.0, 1.1, 2.0, 1.9)
    assert flags([slow], {"density": 0.5}) == ("sparser but not faster",)
    assert flags([slow], {"weight_bits": 8.0, "density": 1.0}) == ("of fewer bits but not faster",)
    assert flags([slow], {"weight_bits": 8.0, "density": 0.1}) == ("sparser and of fewer bits but not faster",)
    assert flags([slow], {}) == ("compressed but not faster",)
    assert flags([slow, fast], {"density": 0.5}) == ("sparser but not faster at pi",)
    assert flags([fast], {"density": 0.5}) == ()
