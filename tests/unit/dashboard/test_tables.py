from __future__ import annotations

import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import cast

import pytest
from sqlalchemy import Engine

from dashboard.launch import command
from dashboard.sections.listing import spreadsheet_text
from dashboard.tables.candidate import (
    artifacts_table,
    choices_table,
    conditions_table,
    final_trainings_table,
    jobs_table,
    layers_table,
    plain,
    ratio_interval,
    run_times,
    shape,
)
from dashboard.tables.study import candidates_table, imported_table, rungs_table
from nas.latency.protocol.samples import Samples
from tests.browser.seed import REFERENCE_MS, seed_database
from trials.analysis.profiles import account
from trials.analysis.rungs import RungCorrelation
from trials.reporting.study import study_view
from trials.store.database.engine import open_engine
from trials.store.read.candidate import CandidateDetail, ProfileInfo, candidate_detail, samples_blob
from trials.store.read.candidates import Value, candidates_page
from trials.store.read.studies import study_summary
from trials.store.records import ArtifactValue, ImportedValue, MetricValue
from trials.store.write.imported import add_imported

START = datetime(2026, 3, 2, tzinfo=UTC)


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    engine = open_engine(f"sqlite:///{tmp_path_factory.mktemp('tables') / 'nas.db'}")
    seed_database(engine)
    yield engine
    engine.dispose()


def test_a_line_a_candidate_with_units_in_the_head(engine: Engine) -> None:
    page = candidates_page(engine, "digits", order_by="latency_ms", limit=5)
    table = candidates_table(page.rows, study_summary(engine, "digits").metrics, dict.fromkeys(range(30), 0.25))
    assert list(table.columns) == [
        "Trial", "State", "Accuracy", "Latency (ms)", "Peak memory", "Size",
        "On the front", "Parameters", "MACs", "Reason",
    ]  # fmt: skip
    assert set(table["On the front"].dropna()) <= {0.25}
    assert table["Latency (ms)"].is_monotonic_increasing
    assert table["Trial"].tolist() == [row.number for row in page.rows]


def test_layers_add_up(engine: Engine) -> None:
    detail = candidate_detail(engine, "digits", 0)
    table = layers_table(detail)
    assert table["Parameters"].sum() == detail.row.parameters
    assert table["MACs"].sum() == detail.row.macs
    assert table["Share of MACs"].sum() == pytest.approx(1.0)
    assert table["Output"][0] == f"{detail.layers[0]['output_shape'][0]} × 16 × 16"


def test_the_other_tables_of_a_candidate(engine: Engine) -> None:
    detail = candidate_detail(engine, "digits", 0)
    assert jobs_table(detail.jobs)["Took"].tolist() == ["1.4 s", "7.5 s"]
    assert artifacts_table(detail.artifacts)["File"].tolist() == ["onnx", "weights"]
    assert "precision" in choices_table(detail)["Choice"].tolist()
    conditions = conditions_table(detail.measurements[0]).set_index("Condition")["Value"]
    assert conditions["Target"] == "local"
    assert conditions["Statistic"] == "min_ratio"
    assert ratio_interval(detail.measurements[0]) == pytest.approx(
        tuple(detail.row.metrics["latency_ms"].__dict__[end] / REFERENCE_MS for end in ("low", "value", "high"))
    )


def test_final_trainings_stand_beside_the_search(engine: Engine) -> None:
    detail = candidate_detail(engine, "digits", 0)
    table = final_trainings_table(detail)
    assert table["State"].tolist() == ["complete", "failed"]
    assert table["Epochs"].tolist() == [3, 1]
    assert table["Accuracy"][0] == pytest.approx(table["Accuracy in the search"][0] + 0.01)
    assert table["Accuracy in the search"][0] == detail.row.metrics["accuracy"].value
    assert "loss is nan" in table["Error"][1]


def test_run_times_are_those_of_the_samples(engine: Engine) -> None:
    measurement = candidate_detail(engine, "digits", 0).measurements[0]
    candidate_ms, reference_ms, ratios = run_times(Samples.from_bytes(samples_blob(engine, measurement.id)))
    assert len(candidate_ms) == len(reference_ms) == 160
    assert len(ratios) == 16
    assert candidate_ms.min() >= measurement.latency_ms * 0.99
    assert reference_ms.min() >= 0.40


@pytest.mark.parametrize(
    ("value", "text"), [(True, "yes"), (None, "—"), (0.123456, "0.1235"), ([1, 2.5], "1, 2.5"), (7, "7")]
)
def test_values_of_records_in_a_few_letters(value: object, text: str) -> None:
    assert plain(value) == text


def test_a_layer_without_a_shape() -> None:
    assert shape(None) == ""


def test_the_command_binds_this_machine_only_and_reports_nothing() -> None:
    line = command("sqlite:///nas.db", 8501)
    assert line[:5] == [sys.executable, "-P", "-m", "streamlit", "run"]
    assert "--server.address=127.0.0.1" in line
    assert "--server.port=8501" in line
    assert "--browser.gatherUsageStats=false" in line
    assert line[-3:] == ["--", "--storage", "sqlite:///nas.db"]


def test_an_empty_storage_is_left_to_the_environment() -> None:
    assert "--storage" not in command("", 8501, host="0.0.0.0")


def test_a_gated_dashboard_starts_another_script() -> None:
    assert any(part.endswith("start/open.py") for part in command("", 8501))
    assert any(part.endswith("start/gated.py") for part in command("", 8501, gated=True))


def test_early_scores_have_a_row_for_each_rung() -> None:
    table = rungs_table([RungCorrelation("accuracy", 3, 27, 0.8, 12)])
    assert table.to_dict("records") == [
        {"Score": "Accuracy", "After epochs": 3, "Of epochs": 27, "Rank correlation": 0.8, "Trials": 12}
    ]


def test_an_imported_network_is_compared_with_the_front(engine: Engine) -> None:
    file = ArtifactValue("onnx", "/files/own.onnx", "0" * 64, 10)
    slow = [MetricValue("accuracy", "", 0.1, 0.0, 0.2), MetricValue("latency_ms", "local", 1e6)]
    fast = [MetricValue("accuracy", "", 0.1), MetricValue("latency_ms", "local", 1e-6)]
    with engine.begin() as connection:
        for name, metrics in {"slow": slow, "fast": fast, "unscored": slow[1:]}.items():
            network = ImportedValue(name, {}, file, metrics, {}, ["a note"], [], {})
            add_imported(connection, "digits", network, force=False)
    with study_view(engine, "digits") as study:
        table = imported_table(study).set_index("Network")
        front = sorted(map(int, study.points.front().numbers))
    assert sorted(map(int, table.loc["slow", "Dominated by"].removeprefix("trials ").split(", "))) == front
    assert table.loc["slow", "Accuracy"] == "0.1 [0, 0.2]"
    assert table["Dominated by"].tolist()[1:] == ["no trial", "—"]
    assert table["Notes"].tolist() == ["a note"] * 3


@pytest.mark.parametrize(
    ("cell", "written"), [("=1+1", "'=1+1"), ("@x", "'@x"), ("fine", "fine"), ("", ""), (-1.5, -1.5)]
)
def test_no_text_of_a_visitor_is_a_formula_in_a_spreadsheet(cell: object, written: object) -> None:
    assert spreadsheet_text(cell) == written


def test_a_latency_beside_a_profile_is_one_of_the_same_target() -> None:
    row = SimpleNamespace(metrics={"latency_ms": Value(1.2)})
    detail = cast(CandidateDetail, SimpleNamespace(row=row, first_target="local"))
    found = [account(detail, ProfileInfo(target, 41.0, 3, "1", (), START)) for target in ("local", "pi")]
    assert [facts.get("measured_latency_ms") for facts in found] == [1.2, None]
