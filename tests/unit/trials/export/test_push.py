"""An exported folder is copied to other places."""

from __future__ import annotations

import hashlib
import html
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import fsspec
import numpy as np
import pytest
import yaml
from fsspec.implementations.memory import MemoryFileSystem
from huggingface_hub import ModelCard
from PIL import Image

from nas.errors import ExportError, PlanError, UnknownNameError
from tests.unit.trials.in_process import search_in_process
from trials.export.candidate import export_candidate
from trials.export.card import licence_metadata
from trials.export.push import describe, push
from trials.export.scripts.verification.sums import SUMS
from trials.export.sums import check_sums, write_sums
from trials.export.verification.any_folder import verify_folder
from trials.store.store import Store

PLAN = {
    "task": {"name": "digits", "image_size": 8},
    "space": {"name": "plain_convnet"},
    "strategy": {"name": "random"},
    "estimator": {"name": "training", "epochs": 1},
    "measure": {"precision": 0.5, "budget_s": 0.2, "canary_every": 0, "audit": 0.0},
    "executor": "local",
    "budget": {"trials": 1},
}


class Bucket(MemoryFileSystem):
    """A file system that can't rename folders, as that of an object store; it refuses files with a given word."""

    protocol = "bucket"
    store: dict[str, Any] = {}  # noqa: RUF012
    order: list[str] = []  # noqa: RUF012
    refused = ""

    def put_file(self, lpath: str, rpath: str, **options: Any) -> None:
        if self.refused and self.refused in rpath:
            raise PermissionError("the bucket is full")
        self.order.append(rpath)
        super().put_file(lpath, rpath, **options)


@pytest.fixture
def bucket() -> Iterator[type[Bucket]]:
    fsspec.register_implementation("bucket", Bucket, clobber=True)
    Bucket.store.clear()
    Bucket.order.clear()
    yield Bucket
    Bucket.refused = ""


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory, calibrated: dict[str, Any], _measuring: None) -> Path:
    folder = tmp_path_factory.mktemp("pushed")
    store = Store(f"sqlite:///{search_in_process(PLAN, folder / 'nas.db', calibrated)}")
    export_candidate(store, "study", 0, folder / "out", licence="Apache-2.0")
    store.close()
    return folder / "out"


@pytest.fixture
def folder(exported: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(exported, tmp_path / "exported"))


def content(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize("form", ["{}", "file://{}"])
def test_a_copy_in_a_folder_is_equal_and_appears_at_once(folder: Path, tmp_path: Path, form: str) -> None:
    found = push(folder, form.format(tmp_path / "copy"))
    assert content(tmp_path / "copy") == content(folder)
    assert (found.files, found.whole) == (len(content(folder)), True)
    with pytest.raises(PlanError, match="is not empty, and nas push replaces nothing; give a new place"):
        push(folder, str(tmp_path / "copy"))
    modes = {path.stat().st_mode & 0o777 for path in (tmp_path / "copy").rglob("*") if path.is_file()}
    assert modes == {(tmp_path / "copy").stat().st_mode & 0o666}


def test_sums_are_sent_last(folder: Path, bucket: type[Bucket]) -> None:
    found = push(folder, "bucket://models/digits")
    assert not found.whole
    assert "SHA256SUMS was written last" in describe(found)
    assert bucket.order[-1].endswith(SUMS)
    sent = {key.removeprefix("bucket://models/digits/"): file.getvalue() for key, file in bucket.store.items()}
    assert sent == content(folder)
    with pytest.raises(PlanError, match="bucket://models/digits is not empty"):
        push(folder, "bucket://models/digits")


def test_what_was_sent_before_an_error_is_removed(folder: Path, bucket: type[Bucket]) -> None:
    bucket.refused = "report.json"
    with pytest.raises(ExportError, match="bucket://models can't be written: the bucket is full"):
        push(folder, "bucket://models")
    assert len(bucket.order) > 3
    assert bucket.store == {}


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("memory://x", "memory://x is lost when this command ends"),
        ("nothing://x", "Protocol not known: nothing"),
        ("https://127.0.0.1:9/x", "127.0.0.1"),
    ],
)
def test_places_that_can_not_take_a_folder(folder: Path, url: str, message: str) -> None:
    with pytest.raises((PlanError, ExportError), match=message):
        push(folder, url)


def test_a_folder_that_is_not_whole_is_not_sent(folder: Path, tmp_path: Path) -> None:
    weights = (folder / "model.safetensors").read_bytes()
    (folder / "model.safetensors").write_bytes(weights[:-1] + b"x")
    with pytest.raises(ExportError, match=r"model\.safetensors was changed after the export"):
        push(folder, str(tmp_path / "copy"))
    (folder / "model.safetensors").unlink()
    with pytest.raises(ExportError, match=r"model\.safetensors is missing"):
        push(folder, str(tmp_path / "copy"))
    (folder / "model.safetensors").write_bytes(weights)
    (folder / "notes.txt").write_text("mine")
    with pytest.raises(ExportError, match=r"contains files that no export wrote: notes\.txt"):
        push(folder, str(tmp_path / "copy"))
    (folder / "notes.txt").unlink()
    with (folder / SUMS).open("a") as sums:
        sums.write(f"{'0' * 64}  ../nas.db\n")
    with pytest.raises(ExportError, match=r"lists '../nas.db', which leaves the folder"):
        push(folder, str(tmp_path / "copy"))
    (folder / SUMS).unlink()
    with pytest.raises(PlanError, match="has no SHA256SUMS"):
        push(folder, str(tmp_path / "copy"))
    assert not (tmp_path / "copy").exists()


def test_a_listed_name_that_leaves_the_folder_is_refused(tmp_path: Path) -> None:
    """Also if it comes back: then the file exists here, but the copy would be written outside of its place."""
    folder, place = tmp_path / "theirs" / "exported", tmp_path / "mine" / "models" / "copy"
    folder.mkdir(parents=True)
    place.parent.mkdir(parents=True)
    (folder / "model.onnx").write_bytes(b"theirs")
    sha256 = hashlib.sha256(b"theirs").hexdigest()
    names = ["../../theirs/exported/model.onnx", str(folder / "model.onnx"), "./model.onnx", "x/../model.onnx", ""]
    for name in [*names, "..\\exported\\model.onnx", "/model.onnx", "model.onnx/", "x//model.onnx", "."]:
        (folder / SUMS).write_text(f"{sha256}  {name}\n")
        with pytest.raises(ExportError, match=rf"lists {re.escape(repr(name))}, which leaves the folder"):
            push(folder, str(place))
    assert list(tmp_path.rglob("model.onnx")) == [folder / "model.onnx"]
    (folder / SUMS).write_bytes(b"\xff")
    with pytest.raises(ExportError, match="SHA256SUMS can't be read"):
        push(folder, str(place))


def test_an_unverified_folder_is_sent_only_if_asked(folder: Path, tmp_path: Path) -> None:
    (folder / "UNVERIFIED").write_text("outputs: they differ")
    (folder / SUMS).unlink()
    write_sums(folder)
    with pytest.raises(PlanError, match="outputs: they differ; export it again, or pass --unverified"):
        push(folder, str(tmp_path / "copy"))
    push(folder, str(tmp_path / "copy"), unverified=True)
    assert (tmp_path / "copy" / "UNVERIFIED").exists()


def test_an_unknown_layout_is_refused(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(UnknownNameError, match="no layout 'huggingfac'; did you mean 'huggingface'"):
        push(folder, str(tmp_path / "copy"), layout="huggingfac")


def test_the_layout_of_hugging_face_has_a_model_card_and_runs(folder: Path, tmp_path: Path) -> None:
    push(folder, str(tmp_path / "copy"), layout="huggingface")
    copy = tmp_path / "copy"
    assert check_sums(copy)
    card = ModelCard.load(copy / "README.md")
    report = json.loads((folder / "report.json").read_text())
    assert card.data.pipeline_tag == "image-classification"
    (result,) = card.data.eval_results or []
    assert (result.dataset_name, result.metric_type) == ("digits", "accuracy")
    assert result.metric_value == report["scores"]["test"]["accuracy"]
    assert card.data.license == ModelCard.load(folder / "README.md").data.license == "apache-2.0"
    assert "verify.py" not in card.text
    page = (copy / "report.html").read_text()
    assert "verify.py" not in page
    assert "pip install -r onnx/requirements.txt\npython onnx/run.py image.jpg\n</pre>" in page
    with pytest.raises(PlanError, match=r"has the layout huggingface.*verify the export that was pushed"):
        verify_folder(copy)
    config = json.loads((copy / "config.json").read_text())
    assert config["id2label"]["3"] == "3"
    assert (copy / "model.safetensors").read_bytes() == (folder / "model.safetensors").read_bytes()
    Image.fromarray(np.zeros((8, 8), dtype=np.uint8)).save(tmp_path / "black.png")
    ran = subprocess.run(
        [sys.executable, "onnx/run.py", str(tmp_path / "black.png")],
        cwd=copy,
        env={**os.environ, "PYTHONPATH": ""},
        capture_output=True,
        text=True,
    )
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout.strip()
    ran = subprocess.run([sys.executable, "onnx/run.py"], cwd=copy, capture_output=True, text=True)
    assert "in golden.npz" in ran.stdout, ran.stderr


def test_no_path_of_this_machine_is_in_the_layout_of_hugging_face(folder: Path, tmp_path: Path) -> None:
    plan = yaml.safe_load((folder / "plan.yaml").read_text())
    data, weights = "/home/me & you/photos", "/home/me & you/photos/teacher.safetensors"
    plan["task"]["root"], plan["code"] = data, ["/home/me & you"]
    (folder / "plan.yaml").write_text(yaml.safe_dump(plan))
    report = json.loads((folder / "report.json").read_text())
    report["weights"]["final_training"] = {"recipe": {"teacher": f"timm:resnet50,weights={weights}"}}
    (folder / "report.json").write_text(json.dumps(report))
    with (folder / "report.html").open("a") as page:
        page.write(f"<td>{html.escape(weights)}, {html.escape(data)} and 3/home</td>")
    (folder / SUMS).unlink()
    write_sums(folder)
    push(folder, str(tmp_path / "copy"), layout="huggingface")
    texts = [path.read_text() for path in (tmp_path / "copy").rglob("*") if path.suffix in (".html", ".json", ".yaml")]
    assert not [text for text in texts if "home/me" in text]
    assert "<td>teacher.safetensors, photos and 3/home</td>" in (tmp_path / "copy" / "report.html").read_text()
    copied = yaml.safe_load((tmp_path / "copy" / "plan.yaml").read_text())
    assert (copied["task"]["root"], copied["code"]) == ("photos", ["me & you"])
    assert check_sums(tmp_path / "copy")


def test_a_licence_is_an_identifier_or_another_one_with_its_name() -> None:
    assert licence_metadata({"licence": "MIT"}) == {"license": "mit"}
    assert licence_metadata({"licence": "Ask: me"}) == {"license": "other", "license_name": "Ask: me"}
    assert licence_metadata({"licence": None}) == licence_metadata({}) == {"license": "other"}


@pytest.mark.parametrize(
    ("layout", "place"), [("huggingface", ""), ("mlflow", "export/")], ids=["huggingface", "mlflow"]
)
def test_layouts_keep_formats_that_are_folders_and_kernels(
    layout: str, place: str, folder: Path, tmp_path: Path
) -> None:
    files = ("model.ortpackage/cpu/model.onnx", "model.timm/config.json", "kernels.so", "kernels.xml")
    for name in files:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(name.encode())
    (folder / SUMS).unlink()
    write_sums(folder)
    push(folder, str(tmp_path / "copy"), layout=layout)
    for name in files:
        at = f"onnx/{name}" if layout == "huggingface" and name.startswith("kernels") else f"{place}{name}"
        assert (tmp_path / "copy" / at).read_bytes() == name.encode()


def test_the_layout_of_mlflow_describes_the_file(folder: Path, tmp_path: Path) -> None:
    push(folder, str(tmp_path / "copy"), layout="mlflow")
    copy = tmp_path / "copy"
    model = yaml.safe_load((copy / "MLmodel").read_text())
    assert model["flavors"]["onnx"]["data"] == model["flavors"]["python_function"]["data"] == "model.onnx"
    (given,) = json.loads(model["signature"]["inputs"])
    assert given["tensor-spec"] == {"dtype": "float32", "shape": [1, 1, 8, 8]}
    assert (copy / "model.onnx").read_bytes() == (folder / "model.onnx").read_bytes()
    assert content(copy / "export") == content(folder)
    with pytest.raises(PlanError, match=r"has the layout mlflow; verify the export in it: nas verify .*copy/export"):
        verify_folder(copy)
    ran = subprocess.run([sys.executable, "run.py"], cwd=copy / "export", capture_output=True, text=True)
    assert "in golden.npz" in ran.stdout, ran.stderr
    assert any(line.startswith("onnxruntime==") for line in (copy / "requirements.txt").read_text().splitlines())


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # mlflow warns about its own annotations
def test_mlflow_loads_and_runs_its_layout(folder: Path, tmp_path: Path) -> None:
    mlflow = pytest.importorskip("mlflow", reason="pip install mlflow-skinny")
    push(folder, str(tmp_path / "copy"), layout="mlflow")
    golden = np.load(folder / "golden.npz")
    found = mlflow.pyfunc.load_model(str(tmp_path / "copy")).predict(golden["inputs"][:1])
    np.testing.assert_allclose(next(iter(found.values())), golden["outputs"][:1], rtol=1e-4, atol=1e-5)
