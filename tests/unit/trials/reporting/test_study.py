from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import numpy as np
import pytest
from sqlalchemy import Engine, event

from nas.errors import UnknownNameError
from tests.browser.seed import START, seed_database
from trials.analysis.histories import histories
from trials.analysis.listing import Listing
from trials.cli.commands.inspection import study_facts
from trials.cli.views import candidate_rows
from trials.reporting.charts.studies import history_figure
from trials.reporting.report.cards import cards
from trials.reporting.study import study_view
from trials.reporting.verdict import verdict
from trials.store.database.engine import open_engine
from trials.store.read.candidate import candidate_detail
from trials.store.store import Store


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    engine = open_engine(f"sqlite:///{tmp_path_factory.mktemp('study') / 'nas.db'}")
    seed_database(engine)
    yield engine
    engine.dispose()


def trial_table(engine: Engine, name: str) -> list[dict[str, Any]]:
    with study_view(engine, name) as study:
        return study.trial_table()


@contextmanager
def statements(engine: Engine) -> Iterator[list[str]]:
    """The statements that the block sends to the database."""
    told: list[str] = []

    def note(connection: Any, cursor: Any, statement: str, *others: Any) -> None:
        told.append(statement)

    event.listen(engine, "before_cursor_execute", note)
    yield told
    event.remove(engine, "before_cursor_execute", note)


def test_a_row_says_all_of_a_trial(engine: Engine) -> None:
    rows = trial_table(engine, "digits")
    assert [row["number"] for row in rows] == list(range(30))
    assert len({tuple(row) for row in rows}) == 1
    row = next(row for row in rows if row["state"] == "complete")
    detail = candidate_detail(engine, "digits", row["number"])
    for metric, value in detail.row.metrics.items():
        assert row[metric] == value.value
        assert (row.get(f"{metric}_low"), row.get(f"{metric}_high")) == (value.low, value.high)
    assert {key: row[f"choice.{key}"] for key in detail.definition["choices"]} == detail.definition["choices"]
    assert (row["parameters"], row["macs"], row["trust"]) == (detail.row.parameters, detail.row.macs, "unverified")
    began = START + timedelta(seconds=8 * row["number"])
    assert (row["started_at"], row["finished_at"]) == (began, began + timedelta(seconds=9))
    assert (row["measure_s"], row["train_s"]) == pytest.approx((1.4, 7.5))
    assert 0 <= row["front_probability"] <= 1


def test_a_trial_that_was_not_trained_has_no_score_and_says_why(engine: Engine) -> None:
    row = next(row for row in trial_table(engine, "digits") if row["state"] == "infeasible" and row["number"] % 4)
    assert "is over the limit" in row["reason"]
    assert [row[key] for key in ("accuracy", "accuracy_low", "train_s", "front_probability")] == [None] * 4


def test_a_queued_trial_has_choices_only(engine: Engine) -> None:
    row = trial_table(engine, "live")[-1]
    assert (row["state"], row["started_at"], row["trust"]) == ("queued", None, None)
    assert row["choice.stem.width"] > 0


def test_a_study_without_trials_has_no_rows(engine: Engine) -> None:
    assert trial_table(engine, "fresh") == []
    with pytest.raises(UnknownNameError, match="no study 'fres'; did you mean 'fresh'"):
        trial_table(engine, "fres")


def test_study_facts_report_and_dashboard_show_the_same_hypervolume(engine: Engine) -> None:
    store = Store(engine.url.render_as_string())
    with study_view(engine, "digits") as view, study_view(engine, "digits-1") as replicate:
        volume = view.hypervolume
        assert volume is not None
        assert study_facts(store, "digits")["hypervolume"] == volume
        (drawn,) = (trace for trace in history_figure(view.history).data if trace.name == "hypervolume")
        assert drawn.y[-1] == volume
        assert replicate.hypervolumes == view.hypervolumes
        mean = f"{np.mean(view.hypervolumes['search']):.3f}"
        assert mean in {card.value for card in cards(view)}
        assert f"hypervolume {mean} against " in view.verdict
    store.close()


def test_a_view_reads_once(engine: Engine) -> None:
    with study_view(engine, "digits") as view:
        first = view.trial_table()
        with statements(engine) as told:
            assert view.trial_table() == first
    assert told == []


def test_the_command_line_shows_the_choices_in_which_trials_differ(engine: Engine) -> None:
    with study_view(engine, "digits") as view:
        table, rows = view.trial_table(), candidate_rows(view, Listing(), 30, choices=True)
        assert "choices" not in candidate_rows(view, Listing(), 1)[0]
    for whole, row in zip(table, rows, strict=True):
        assert row["choices"] == {name: whole[f"choice.{name}"] for name in ("stem.width", "precision")}


def test_a_study_is_compared_with_its_replicates_and_baselines(engine: Engine) -> None:
    with study_view(engine, "digits-1") as view:
        assert [row.name for row in view.group] == ["digits", "digits-1", "digits-random", "digits-random-1"]
        assert [run.study for run in view.histories] == [row.name for row in view.group]
        assert view.hypervolume == view.hypervolumes["search"][1] == view.histories[1].hypervolume[-1]
        assert view.verdict == verdict(view.group, histories(engine, [row.name for row in view.group]))
    with study_view(engine, "live") as view:
        assert (view.verdict, view.lacks_baseline) == ("", True)


def test_columns_that_are_known_are_not_read_again(engine: Engine) -> None:
    with study_view(engine, "digits") as view:
        assert view.points.metrics == ("accuracy", "latency_ms")
        with statements(engine) as told:
            found = view.points_on(["number", "accuracy"])
        assert (found.values[:, 0] == found.numbers).all()
        assert not any("metrics.value" in statement for statement in told)
        assert view.points_on(["parameters"]).values.shape == (len(found.numbers), 1)
