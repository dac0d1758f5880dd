"""The command line, used as a user would."""

from __future__ import annotations

from nas import torchvision_fix  # noqa: F401  isort: skip
import json
import warnings
from pathlib import Path

import pytest
import timm
import torch

from tests.integration.forks import nas


@pytest.mark.slow
def test_init_writes_a_plan_that_validate_accepts(tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    nas("init", str(path), "--limit", "latency_ms=50", "--trials", "4")
    found = json.loads(nas("validate", str(path), "estimator.epochs=1", "--json").stdout)
    by_name = {row["network"]: row for row in found["networks"]}
    assert by_name["smallest"]["parameters"] < by_name["median"]["parameters"] < by_name["largest"]["parameters"]
    assert by_name["smallest"]["latency_ms@local"] < by_name["largest"]["latency_ms@local"]
    assert found["limits"]["latency_ms"]["max"] == 50
    assert found["feasible_share"] == 1.0


def test_measure_shows_a_file_of_another_tool_side_by_side(tmp_path: Path) -> None:
    path = tmp_path / "model.onnx"
    model = timm.create_model("test_byobnet", num_classes=10).eval()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the older exporter warns that there is a newer one
        axes = {"input": {0: "batch"}}
        torch.onnx.export(
            model, (torch.zeros(1, 3, 32, 32),), str(path), input_names=["input"], dynamic_axes=axes, dynamo=False
        )
    asked = [f"--runtime={name}" for name in ("command,program=none", "openvino", "onnxruntime")]
    refused, *rows = json.loads(nas("measure", str(path), "--json", *asked).stdout)
    assert "known: benchmark_app" in refused["error"]
    assert [row["runtime"] for row in rows] == ["openvino", "onnxruntime"]
    assert all(row["low_ms"] < row["latency_ms"] < row["high_ms"] for row in rows)
    assert rows[0]["ratio_to_first"] == 1.0


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
    assert "Convolutions without branches" in nas("spaces", "plain_convnet").stdout
    shown = nas("spaces", "plain_convnet", "--describe").stdout
    assert all(text in shown for text in ("35: SimpleNet", "stage*.conv*.width", "preset: ``small``"))


def test_every_paper_names_a_test_that_exists() -> None:
    root = Path(__file__).parents[2]
    for row in json.loads(nas("papers", "--json").stdout):
        file, _, function = row["test"].partition("::")
        assert f"def {function}(" in (root / file).read_text()
