from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import Engine, event
from sqlalchemy.orm import Session

from nas.errors import UnknownNameError
from nas.latency.protocol.intervals import derive
from nas.latency.protocol.samples import Samples
from tests.browser.seed import LIMIT_MS, REFERENCE_MS, seed_database
from trials.analysis.histories import histories, running_hypervolume
from trials.store.database.engine import open_engine
from trials.store.models import Candidate, Metric, Study
from trials.store.read.candidate import candidate_detail, samples_blob
from trials.store.read.candidates import candidates_page
from trials.store.read.courses import best_course
from trials.store.read.epochs import curves
from trials.store.read.points import front, points
from trials.store.read.studies import count_studies, list_studies, study_summary


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    engine = open_engine(f"sqlite:///{tmp_path_factory.mktemp('queries') / 'nas.db'}")
    seed_database(engine)
    yield engine
    engine.dispose()


def metrics_of(engine: Engine, study: str, name: str, state: str) -> dict[int, float]:
    """Number → value, read through the models, which is slow and simple."""
    with Session(engine) as session:
        rows = session.query(Candidate).join(Study).filter(Study.name == study, Candidate.state == state)
        return {row.number: m.value for row in rows for m in row.metrics if m.name == name}


def test_studies_come_newest_first_with_counts_and_best(engine: Engine) -> None:
    rows = list_studies(engine)
    assert [row.name for row in rows] == [
        "fresh",
        "live",
        "digits-random-1",
        "digits-random",
        "digits-1",
        "digits",
    ]
    digits = rows[-1]
    assert sum(digits.counts.values()) == 30
    assert digits.best["accuracy"] == max(metrics_of(engine, "digits", "accuracy", "complete").values())
    assert digits.best["latency_ms"] == min(metrics_of(engine, "digits", "latency_ms", "complete").values())
    assert rows[0].counts == {}
    assert rows[0].best == {}
    assert digits.created_at.tzinfo is not None


def test_studies_are_paged_and_grouped(engine: Engine) -> None:
    everything = [row.name for row in list_studies(engine)]
    assert [row.name for row in list_studies(engine, offset=2, limit=3)] == everything[2:5]
    assert {row.role for row in list_studies(engine, group="digits")} == {"search", "baseline"}


def test_studies_are_found_by_text_and_state(engine: Engine) -> None:
    assert [row.name for row in list_studies(engine, text="RANDOM")] == ["digits-random-1", "digits-random"]
    assert [row.name for row in list_studies(engine, states=["running", "interrupted"])] == ["fresh", "live"]
    assert count_studies(engine, text="digits", states=["complete"]) == 4
    assert count_studies(engine, text="%") == count_studies(engine, text="_") == 0


def test_the_course_of_a_study_is_its_best_value_by_parts(engine: Engine) -> None:
    rows = {row.name: row for row in list_studies(engine)}
    found = metrics_of(engine, "digits", "accuracy", "complete")
    course = best_course(engine, rows["digits"])
    assert list(course) == [max(found[key] for key in found if key <= number) for number in sorted(found)]
    swapped = replace(rows["digits"], objectives={"latency_ms": "minimize"})
    assert best_course(engine, swapped)[-1] == rows["digits"].best["latency_ms"]
    assert best_course(engine, rows["fresh"]) == ()


def test_a_session_and_a_store_are_sources_too(engine: Engine) -> None:
    class Holder:
        def __init__(self, engine: Engine) -> None:
            self.engine = engine

    with Session(engine) as session:
        assert len(list_studies(session)) == len(list_studies(Holder(engine))) == 6


def test_summary_names_metrics_as_the_study_does(engine: Engine) -> None:
    summary = study_summary(engine, "digits")
    assert summary.metrics == ("accuracy", "latency_ms", "peak_memory_bytes", "size_bytes")
    assert summary.limits["latency_ms"]["max"] == LIMIT_MS
    assert summary.targets == ("local",)


def test_an_unknown_study_is_answered_with_the_nearest(engine: Engine) -> None:
    with pytest.raises(UnknownNameError, match="did you mean 'digits'"):
        study_summary(engine, "digit")


@pytest.mark.parametrize("descending", [False, True])
def test_pages_are_ordered_by_a_metric_with_the_missing_last(engine: Engine, descending: bool) -> None:
    pages = [
        candidates_page(engine, "digits", offset=offset, limit=8, order_by="accuracy", descending=descending)
        for offset in range(0, 32, 8)
    ]
    rows = [row for page in pages for row in page.rows]
    assert {page.total for page in pages} == {30}
    assert sorted(row.number for row in rows) == list(range(30))
    values = [row.metrics["accuracy"].value for row in rows if "accuracy" in row.metrics]
    assert values == sorted(values, reverse=descending)
    assert all("accuracy" not in row.metrics for row in rows[len(values) :])
    assert len(values) < 30


def test_pages_can_leave_states_and_numbers_out(engine: Engine) -> None:
    page = candidates_page(engine, "digits", states=["failed"])
    assert [row.number for row in page.rows] == [11]
    assert page.total == 1
    assert [row.number for row in candidates_page(engine, "digits", numbers=[4, 2]).rows] == [2, 4]
    assert candidates_page(engine, "digits", states=[]).total == 0


@pytest.mark.parametrize("column", ["number", "state", "parameters", "macs", "created_at", "finished_at"])
def test_own_columns_order_pages(engine: Engine, column: str) -> None:
    rows = candidates_page(engine, "digits", order_by=column).rows
    values = [getattr(row, column) for row in rows]
    assert values == sorted(values)


def test_an_unknown_order_names_the_known(engine: Engine) -> None:
    with pytest.raises(UnknownNameError, match="did you mean 'latency_ms'"):
        candidates_page(engine, "digits", order_by="latency")


def test_a_page_takes_as_many_statements_as_any_other(engine: Engine) -> None:
    """A page is a fixed number of statements, however many candidates are on it."""

    def statements(limit: int) -> int:
        seen: list[str] = []

        def note(*details: object) -> None:
            seen.append(str(details[2]))

        event.listen(engine, "before_cursor_execute", note)
        try:
            candidates_page(engine, "digits", limit=limit, order_by="latency_ms")
        finally:
            event.remove(engine, "before_cursor_execute", note)
        assert not any("samples" in statement for statement in seen)
        return len(seen)

    assert statements(1) == statements(30)


def test_the_front_is_what_nothing_complete_dominates(engine: Engine) -> None:
    accuracy = metrics_of(engine, "digits", "accuracy", "complete")
    latency = metrics_of(engine, "digits", "latency_ms", "complete")
    expected = {
        a
        for a in accuracy
        if not any(
            accuracy[b] >= accuracy[a]
            and latency[b] <= latency[a]
            and (accuracy[b], latency[b]) != (accuracy[a], latency[a])
            for b in accuracy
        )
    }
    found = front(engine, "digits")
    assert set(found.numbers.tolist()) == expected
    assert (np.diff(found.values[:, 1]) > 0).all()
    assert (found.low[:, 1] < found.values[:, 1]).all()
    assert (found.values[:, 1] < found.high[:, 1]).all()
    assert (found.low[:, 0] < found.values[:, 0]).all()


def test_points_take_other_columns_and_keep_the_front(engine: Engine) -> None:
    usual = points(engine, "digits")
    other = points(engine, "digits", ["accuracy", "parameters", "number"])
    assert other.metrics == ("accuracy", "parameters", "number")
    assert other.directions == ("maximize", "", "")
    assert (other.on_front == usual.on_front).all()
    assert (other.values[:, 2] == other.numbers).all()
    assert set(usual.states.tolist()) == {"complete", "infeasible"}
    assert np.isnan(usual.values[usual.states == "infeasible", 0]).any()


def test_a_study_without_candidates_has_an_empty_front_and_history(engine: Engine) -> None:
    assert front(engine, "fresh").values.shape == (0, 2)
    (empty,) = histories(engine, ["fresh"])
    assert empty.last_number == -1
    assert empty.hypervolume.shape == (0,)


def test_history_only_gets_better(engine: Engine) -> None:
    (run,) = histories(engine, ["digits"])
    assert (np.diff(run.best[:, 0]) >= 0).all()
    assert (np.diff(run.best[:, 1]) <= 0).all()
    assert (np.diff(run.hypervolume) >= 0).all()
    assert 0 < run.hypervolume[-1] <= 1


def test_histories_share_their_box(engine: Engine) -> None:
    search, random = histories(engine, ["digits", "digits-random"])
    assert search.role == "search"
    assert random.role == "baseline"
    (alone,) = histories(engine, ["digits-random"])
    assert alone.hypervolume[-1] != random.hypervolume[-1]


@given(st.lists(st.tuples(st.integers(0, 6), st.integers(0, 6)), min_size=1, max_size=12))
def test_running_hypervolume_is_the_dominated_share(pairs: list[tuple[int, int]]) -> None:
    """Counted on a grid: cell (i, j) of the scaled box is dominated if a point is above it in both coordinates."""
    gains = np.array(pairs, dtype=float)
    shares = running_hypervolume(gains, gains)
    low, high = gains.min(axis=0), gains.max(axis=0)
    varied = high > low
    assert shares.shape == (len(pairs),)
    assert (np.diff(shares) >= -1e-12).all()
    if not varied.any():
        assert (shares == 1).all()
        return
    scaled = ((gains - low)[:, varied] / (high - low)[varied]) * (10 / 11) + 1 / 11
    edges = [np.unique(np.concatenate([[0.0], column])) for column in scaled.T]
    centres = np.stack(np.meshgrid(*[(edge[1:] + edge[:-1]) / 2 for edge in edges], indexing="ij"), axis=-1)
    volumes = np.prod(np.stack(np.meshgrid(*[np.diff(edge) for edge in edges], indexing="ij"), axis=-1), axis=-1)
    flat, sizes = centres.reshape(-1, varied.sum()), volumes.reshape(-1)
    dominated = (scaled[:, None, :] >= flat[None]).all(axis=2).any(axis=0)
    assert shares[-1] == pytest.approx(sizes[dominated].sum())


def test_detail_tells_everything_about_a_failed_candidate(engine: Engine) -> None:
    detail = candidate_detail(engine, "digits", 11)
    assert detail.row.state == "failed"
    assert detail.traceback is not None
    assert "loss is nan" in detail.traceback
    assert [job.state for job in detail.jobs] == ["done", "failed"]
    assert detail.jobs[0].seconds == pytest.approx(1.4)
    assert detail.curve.epochs == (0, 1)
    assert detail.layers[0]["op"] == "conv3x3"


def test_raw_samples_are_fetched_on_demand_and_can_be_derived_again(engine: Engine) -> None:
    (measurement,) = candidate_detail(engine, "digits", 0).measurements
    samples = Samples.from_bytes(samples_blob(engine, measurement.id))
    assert derive(samples, REFERENCE_MS).latency_ms == pytest.approx(measurement.latency_ms, rel=0.03)
    with pytest.raises(UnknownNameError, match="no measurement 99999"):
        samples_blob(engine, 99999)


def test_an_unknown_candidate_is_answered_with_the_range(engine: Engine) -> None:
    with pytest.raises(UnknownNameError, match="its trials are 0 to 29"):
        candidate_detail(engine, "digits", 30)
    with pytest.raises(UnknownNameError, match="no trials yet"):
        candidate_detail(engine, "fresh", 0)


def test_curves_of_some(engine: Engine) -> None:
    found = curves(engine, "digits", [3, 0, 1])
    assert list(found) == sorted(found)
    assert set(found) <= {0, 1, 3}
    assert found[0].epochs == tuple(range(12))
    assert set(found[0].values[0]) == {"train_loss", "learning_rate", "seconds", "accuracy"}


def test_metrics_of_several_targets_are_told_apart(tmp_path: Path) -> None:
    engine = open_engine(f"sqlite:///{tmp_path / 'nas.db'}")
    seed_database(engine)
    with Session(engine) as session:
        study = session.query(Study).filter_by(name="digits").one()
        study.plan = {**study.plan, "targets": [{"name": "local"}, {"name": "pi"}]}
        for candidate in session.query(Candidate).filter_by(study_id=study.id):
            session.add(
                Metric(candidate_id=candidate.id, name="latency_ms", target="pi", value=100.0 - candidate.number)
            )
        session.commit()
    assert "latency_ms@pi" in study_summary(engine, "digits").metrics
    page = candidates_page(engine, "digits", order_by="latency_ms@pi", limit=3)
    assert [row.number for row in page.rows] == [29, 28, 27]
    assert page.rows[0].metrics["latency_ms@pi"].value == 71.0
    assert page.rows[0].metrics["latency_ms"].value < 2
    engine.dispose()


def test_an_objective_written_with_its_only_target_is_the_same_metric(tmp_path: Path) -> None:
    engine = open_engine(f"sqlite:///{tmp_path / 'nas.db'}")
    seed_database(engine)
    before = front(engine, "digits").numbers.tolist()
    with Session(engine) as session:
        study = session.query(Study).filter_by(name="digits").one()
        study.objectives = {"accuracy": "maximize", "latency_ms@local": "minimize"}
        session.commit()
    summary = study_summary(engine, "digits")
    assert set(summary.limits) == {"latency_ms@local"}
    assert front(engine, "digits").numbers.tolist() == before
    assert "latency_ms@local" in candidates_page(engine, "digits").rows[0].metrics
    engine.dispose()


def test_every_kind_of_database_answers_alike(store_url: str, engine: Engine) -> None:
    other = open_engine(store_url)
    seed_database(other)
    assert [(row.name, row.counts, row.best) for row in list_studies(other)] == [
        (row.name, row.counts, row.best) for row in list_studies(engine)
    ]
    assert study_summary(other, "digits").metrics == study_summary(engine, "digits").metrics
    for order in ("accuracy", "state", "finished_at"):
        ask = {"order_by": order, "descending": True, "offset": 3, "limit": 20}
        assert [row.number for row in candidates_page(other, "live", **ask).rows] == [
            row.number for row in candidates_page(engine, "live", **ask).rows
        ]
    assert front(other, "digits").values.tolist() == front(engine, "digits").values.tolist()
    (ours,), (theirs,) = (histories(each, ["digits"]) for each in (engine, other))
    assert ours.hypervolume.tolist() == theirs.hypervolume.tolist()
    detail = candidate_detail(other, "digits", 11)
    assert [job.state for job in detail.jobs] == ["done", "failed"]
    assert samples_blob(other, detail.measurements[0].id)
    other.dispose()
