"""Listings select and order trials as a slow and simple reading of the rows does."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner

from nas.errors import PlanError
from tests.browser.seed import seed_database
from trials.analysis.listing import Listing
from trials.cli.app import app
from trials.cli.commands import register_commands
from trials.reporting.study import StudyView, study_view
from trials.store.database.engine import open_engine


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Iterator[StudyView]:
    engine = open_engine(f"sqlite:///{tmp_path_factory.mktemp('listing') / 'nas.db'}")
    seed_database(engine)
    with study_view(engine, "digits") as view:
        yield view
    engine.dispose()


def test_conditions_states_and_order(study: StudyView) -> None:
    rows = study.rows(range(30)).values()
    found = study.listed(
        Listing("latency_ms<0.3 and accuracy>=0.9", ("complete",), sort_by="latency_ms", descending=True)
    )
    expected = [
        row
        for row in rows
        if row.state == "complete" and row.metrics["latency_ms"].value < 0.3 and row.metrics["accuracy"].value >= 0.9
    ]
    expected.sort(key=lambda row: -row.metrics["latency_ms"].value)
    assert len(expected) > 3
    assert found.tolist() == [row.number for row in expected]


@pytest.mark.parametrize("descending", [False, True])
def test_trials_without_the_value_come_last(study: StudyView, descending: bool) -> None:
    found = study.listed(Listing(sort_by="accuracy", descending=descending)).tolist()
    without = [number for number in range(30) if study.rows([number])[number].value("accuracy") is None]
    assert without
    assert sorted(found) == list(range(30))
    assert found[-len(without) :] == without


def test_the_front_and_the_probability_to_be_on_it(study: StudyView) -> None:
    found = study.listed(Listing(front=True, sort_by="on_front", descending=True)).tolist()
    shares = [study.shares[number] for number in found]
    assert shares == sorted(shares, reverse=True)
    assert min(shares) >= 0.1
    assert len(found) == sum(share >= 0.1 for share in study.shares.values())


@pytest.mark.parametrize(
    ("listing", "message"),
    [
        (Listing("latency<2"), "no metric 'latency'"),
        (Listing("latency_ms@locla<2"), "no metric 'latency_ms@locla'"),
        (Listing("latency_ms is small"), "is not a condition"),
        (Listing(states=("done",)), "no trial is 'done'"),
        (Listing(sort_by="speed"), "no metric 'speed'"),
    ],
)
def test_what_is_unknown_is_refused(study: StudyView, listing: Listing, message: str) -> None:
    with pytest.raises(PlanError, match=message):
        study.listed(listing)


def test_the_command_line_says_if_no_trial_matches(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'nas.db'}"
    engine = open_engine(url)
    seed_database(engine)
    engine.dispose()
    register_commands()
    shown = CliRunner().invoke(app, ["show", "digits", "--where", "latency_ms<0", "--storage", url])
    assert shown.exit_code == 0
    assert "none of the 30 trials matches" in shown.output
    assert "no trials yet" not in shown.output
