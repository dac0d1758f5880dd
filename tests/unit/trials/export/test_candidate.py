"""Export of a candidate from a study that jobs in this process really trained and measured."""

from __future__ import annotations

import json
import os
import re
import sqlite3
import subprocess
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from sqlalchemy import update
from typer.testing import CliRunner

from nas.errors import ExportError, StudyError
from nas.strategies import Suggestion
from nas.tasks.preparation import normalized
from tests.unit.trials.in_process import search_in_process
from trials.cli.commands import register_commands
from trials.cli.console import app
from trials.export.candidate import export_candidate
from trials.export.formats import Formats
from trials.export.outputs import new_folder
from trials.export.selection import Selection, select
from trials.plans.plan import make_plan
from trials.store.artifacts import file_sha256
from trials.store.models import ArtifactRow, JobRow, Study
from trials.store.read.candidate import candidate_detail, exports
from trials.store.read.rows import study_row
from trials.store.records import ArchitectureValue
from trials.store.store import Store
from trials.store.write.leases import acquire_lease
from trials.store.write.proposals import propose

TRIALS = 3
PLAN = {
    "task": {"name": "digits", "image_size": 8},
    "space": {"name": "plain_convnet"},
    "strategy": {"name": "random"},
    "estimator": {"name": "training", "epochs": 1},
    "measure": {"precision": 0.5, "budget_s": 0.2, "canary_every": 0, "audit": 0.0},
    "executor": "local",
    "budget": {"trials": TRIALS},
    "artifacts": {"retention": "all"},
}


@pytest.fixture(scope="module")
def searched(tmp_path_factory: pytest.TempPathFactory, calibrated: dict[str, Any], _measuring: None) -> Path:
    """A database with a finished study."""
    return search_in_process(PLAN, tmp_path_factory.mktemp("searched") / "nas.db", calibrated)


@pytest.fixture
def store(searched: Path, tmp_path: Path) -> Iterator[Store]:
    """A copy of the database, whose files are those of the original."""
    with closing(sqlite3.connect(searched)) as source, closing(sqlite3.connect(tmp_path / "nas.db")) as copy:
        source.backup(copy)
    found = Store(f"sqlite:///{tmp_path / 'nas.db'}")
    yield found
    found.close()


def change(store: Store, statement: Any) -> None:
    with store.transaction() as connection:
        connection.execute(statement)


def test_an_exported_candidate_is_the_network_that_was_recorded(store: Store, tmp_path: Path) -> None:
    row = export_candidate(store, "study", 0, tmp_path / "out", preprocessed=True)
    detail = candidate_detail(store, "study", 0)
    report = json.loads((tmp_path / "out" / "report.json").read_text())
    accuracy = detail.row.metrics["accuracy"].value
    assert row["validation accuracy"] == pytest.approx(accuracy, abs=0.005)
    assert report["scores"]["validation"]["accuracy"] == row["validation accuracy"]
    (latency,) = report["latency"]
    assert latency["target"] == "local"
    assert latency["recorded_ms"][0] == detail.row.metrics["latency_ms"].value
    assert report["data"] == "as when the study started"
    assert 0 <= report["on_front"] <= 1
    verdicts = {line["check"]: line["verdict"] for line in report["verification"]}
    assert {verdicts.pop("accuracy on the test split"), verdicts.pop("latency on local")} <= {
        "not judged",
        "pass",
        "warning",
    }
    assert set(verdicts.values()) == {"pass"}
    assert not (tmp_path / "out" / "UNVERIFIED").exists()
    golden = np.load(tmp_path / "out" / "golden.npz")
    steps = json.loads((tmp_path / "out" / "preprocessing.json").read_text())
    np.testing.assert_array_equal(normalized(golden["pixels"], steps), golden["inputs"])
    assert sorted(np.bincount(golden["targets"])) == [1] * 4 + [2] * 6
    assert golden["labels"].tolist() == [steps["labels"][target] for target in golden["targets"]]
    assert verdicts["model_with_preprocessing.onnx"] == "pass"
    written = {"model.onnx", "run.py", "report.html", "architecture.json", "README.md", "requirements.txt"}
    assert written <= {path.name for path in (tmp_path / "out").iterdir()}
    html = (tmp_path / "out" / "report.html").read_text()
    assert len(html) < 1_000_000
    assert all(line["check"] in html for line in report["verification"])
    plan = make_plan(yaml.safe_load((tmp_path / "out" / "plan.yaml").read_text()))
    assert plan == make_plan(store.read(study_row, "study").plan)
    assert report["file"]["sha256"] == file_sha256(tmp_path / "out" / "model.onnx")
    (exported,) = exports(store, "study")
    assert (exported.number, exported.folder) == (0, str(tmp_path / "out"))
    assert exported.scores["validation"]["accuracy"].value == pytest.approx(row["validation accuracy"])


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system with space for a few small files."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=16k", "tmpfs", str(folder)]
    if os.geteuid() != 0 or subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("this user can't mount")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def test_a_full_disk_leaves_no_folder(store: Store, small_disk: Path) -> None:
    with pytest.raises(ExportError, match="can't be written: No space left on device; nothing was written"):
        export_candidate(store, "study", 0, new_folder(small_disk / "out", force=False))
    assert list(small_disk.iterdir()) == []


def test_a_candidate_that_is_not_complete_is_refused(store: Store, tmp_path: Path) -> None:
    lease = store.write(acquire_lease, store.read(study_row, "study").id, "here:1:1", 60)
    network = ArchitectureValue("new", "plain_convnet", {}, 1, 1, [])
    store.write(propose, lease, Suggestion(TRIALS, (), {}), network, ("gate", "local"))
    with pytest.raises(StudyError, match=rf"trial {TRIALS} of 'study' is queued \(no result yet\)"):
        export_candidate(store, "study", TRIALS, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_weights_that_were_not_kept_can_not_be_taken(store: Store, tmp_path: Path) -> None:
    change(store, update(ArtifactRow).values(deleted_at=store.read(study_row, "study").created_at))
    with pytest.raises(ExportError, match="the weights of trial 0 were not kept"):
        export_candidate(store, "study", 0, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_network_that_scores_otherwise_than_recorded_is_marked(store: Store, tmp_path: Path) -> None:
    (trained,) = (job for job in candidate_detail(store, "study", 0).jobs if job.kind == "train")
    better = {"metrics": {"accuracy": trained.scores["accuracy"] + 0.05}, "intervals": {"accuracy": [0, 1]}}
    change(store, update(JobRow).where(JobRow.kind == "train").values(result=better))
    assert export_candidate(store, "study", 0, tmp_path / "out")["verification"] == "fail"
    reasons = (tmp_path / "out" / "UNVERIFIED").read_text()
    assert re.match(r"accuracy on the validation split: 0\.\d+, recorded 0\.\d+\. check whether the data", reasons)


def test_a_study_whose_data_changed_is_not_exported_from(store: Store, tmp_path: Path) -> None:
    environment = store.read(study_row, "study").environment
    changed = {**environment, "data": {**environment["data"], "fingerprint": "other"}}
    change(store, update(Study).values(environment=changed))
    with pytest.raises(StudyError, match="the data of study 'study' changed since it started"):
        export_candidate(store, "study", 0, tmp_path / "out")


@pytest.mark.slow
def test_one_network_that_can_not_be_exported_does_not_keep_the_others_back(store: Store, tmp_path: Path) -> None:
    first, second = select(store, "study", Selection(top=2))
    uris = [item.uri for item in candidate_detail(store, "study", first).artifacts]
    change(store, update(ArtifactRow).where(ArtifactRow.uri.in_(uris)).values(uri=str(tmp_path / "gone")))
    register_commands()
    options = ["--top", "2", "--out", str(tmp_path / "out"), "--storage", str(store.engine.url)]
    done = CliRunner().invoke(app, ["export", "study", *options])
    assert done.exit_code == 1
    assert f"trial {first} is not exported:" in done.output
    assert {path.name for path in (tmp_path / "out").iterdir()} == {f"trial-{second}", "index.html", "index.csv"}
    assert f"trial-{second}" in (tmp_path / "out" / "index.csv").read_text()


def test_formats_are_written_compared_and_scored(store: Store, tmp_path: Path) -> None:
    formats = Formats.of(["torch", "onnx"], opset=21, dynamic_batch=False)
    export_candidate(store, "study", 0, tmp_path / "out", formats=formats)
    report = json.loads((tmp_path / "out" / "report.json").read_text())
    assert [item["format"] for item in report["formats"]] == ["torch", "onnx"]
    for item in report["formats"]:
        assert item["relative_error"] < 1e-4
        assert item["scores"] == report["scores"]
        assert all((tmp_path / "out" / file["name"]).stat().st_size == file["size_bytes"] for file in item["files"])
    assert "model.torch.safetensors" in (tmp_path / "out" / "report.html").read_text()
    card = (tmp_path / "out" / "README.md").read_text()
    assert "- torch: `model.py`, `model.torch.safetensors`; needs numpy==" in card
    (latency,) = report["latency"]
    assert f"onnxruntime {latency['runtime'][1]}, 1 thread, batch size 1, {latency['processor']}" in card
    mode = (tmp_path / "out").stat().st_mode
    assert {path.stat().st_mode & 0o777 for path in (tmp_path / "out").glob("*.*")} == {mode & 0o666}


def test_a_format_that_is_refused_leaves_no_folder(store: Store, tmp_path: Path) -> None:
    formats = Formats.of(["torch", "onnx"], opset=7, dynamic_batch=False)
    with pytest.raises(ExportError, match="format 'onnx': opset 7; this network can be written in opset 18 to"):
        export_candidate(store, "study", 0, tmp_path / "out", formats=formats)
    assert not (tmp_path / "out").exists()
