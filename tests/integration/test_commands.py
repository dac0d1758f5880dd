"""The command line, as a user goes through it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.integration.forks import nas


def test_init_writes_a_plan_that_validate_accepts(tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    nas("init", str(path), "--limit", "latency_ms=50", "--trials", "4")
    found = json.loads(nas("validate", str(path), "estimator.epochs=1", "--json").stdout)
    by_name = {row["network"]: row for row in found["networks"]}
    assert by_name["smallest"]["parameters"] < by_name["median"]["parameters"] < by_name["largest"]["parameters"]
    assert by_name["smallest"]["latency_ms@local"] < by_name["largest"]["latency_ms@local"]
    assert found["limits"]["latency_ms"]["max"] == 50
    assert found["feasible_share"] == 1.0


def test_measure_reads_any_onnx_file(tmp_path: Path) -> None:
    from nas.latency.references import LADDER, write_reference

    path = tmp_path / "model.onnx"
    write_reference(LADDER[3], path)
    found = json.loads(nas("measure", str(path), "--json").stdout)
    assert found["low_ms"] < found["latency_ms"] < found["high_ms"]
    rows = json.loads(nas("measure", str(path), "--json", "--runtime", "openvino", "--runtime", "onnxruntime").stdout)
    assert [row["runtime"] for row in rows] == ["openvino", "onnxruntime"]


@pytest.mark.parametrize("verb", ["spaces", "papers"])
def test_lists(verb: str) -> None:
    rows = json.loads(nas(verb, "--json").stdout)
    assert any("plain_convnet" in row.values() for row in rows)


def test_spaces_are_described_with_their_choices() -> None:
    (row,) = json.loads(nas("spaces", "plain_convnet", "--describe", "--json").stdout)
    assert row["paper"].startswith("35: SimpleNet")
    choices = {choice["choice"]: choice for choice in row["choices"]}
    assert choices["stage*.conv*.kernel"] == {
        "choice": "stage*.conv*.kernel",
        "places": 7,
        "ordered": True,
        "options": [1, 3, 5, 7],
    }
    assert choices["stage4.depth"]["options"] == [1]
    assert "Stages of [convolution, batch norm, ReLU]" in nas("spaces", "plain_convnet").stdout
    shown = nas("spaces", "plain_convnet", "--describe").stdout
    assert all(text in shown for text in ("35: SimpleNet", "stage*.conv*.width", "preset: ``small``"))


def test_every_paper_names_a_test_that_exists() -> None:
    root = Path(__file__).parents[2]
    for row in json.loads(nas("papers", "--json").stdout):
        file, _, function = row["test"].partition("::")
        assert f"def {function}(" in (root / file).read_text()
