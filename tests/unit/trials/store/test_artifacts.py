import hashlib
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from nas.errors import StoreError
from trials.store.artifacts import ArtifactStore, file_sha256


@pytest.fixture
def model(tmp_path: Path) -> Path:
    path = tmp_path / "candidate.onnx"
    path.write_bytes(bytes(range(256)) * 5000)
    return path


@pytest.fixture(params=["folder", "memory://nas_artifacts"])
def root(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    return str(tmp_path / "artifacts") if request.param == "folder" else request.param


def test_a_file_comes_back_as_it_went_in(root: str, model: Path, tmp_path: Path) -> None:
    files = ArtifactStore(root)
    stored = files.put(model, 7, "onnx")
    assert stored.sha256 == file_sha256(model) == hashlib.sha256(model.read_bytes()).hexdigest()
    assert stored.size_bytes == model.stat().st_size
    assert stored.uri == f"{root}/7/onnx-{stored.sha256[:16]}.onnx"
    files.fetch(stored.uri, stored.sha256, tmp_path / "back")
    assert (tmp_path / "back").read_bytes() == model.read_bytes()


def test_deleting_twice_is_no_error_and_fetching_then_says_what_to_do(root: str, model: Path, tmp_path: Path) -> None:
    files = ArtifactStore(root)
    stored = files.put(model, 8, "onnx")
    files.delete(stored.uri)
    files.delete(stored.uri)
    with pytest.raises(StoreError, match=r"does not exist any more; set artifacts\.retention to all"):
        files.fetch(stored.uri, stored.sha256, tmp_path / "back")
    assert not (tmp_path / "back").exists()


def test_a_changed_file_is_not_handed_out(model: Path, tmp_path: Path) -> None:
    files = ArtifactStore(str(tmp_path / "artifacts"))
    stored = files.put(model, 0, "onnx")
    Path(stored.uri).write_bytes(b"something else")
    with pytest.raises(StoreError, match=f"was changed or damaged.*expected {stored.sha256}"):
        files.fetch(stored.uri, stored.sha256, tmp_path / "back")
    assert not (tmp_path / "back").exists()


def test_the_same_content_put_many_times_at_once_is_one_file(model: Path, tmp_path: Path) -> None:
    files = ArtifactStore(str(tmp_path / "artifacts"))
    with ThreadPoolExecutor(8) as pool:
        stored = set(pool.map(lambda _: files.put(model, 0, "onnx"), range(32)))
    assert len(stored) == 1
    found = [path for path in (tmp_path / "artifacts").rglob("*") if path.is_file()]
    assert [file_sha256(path) for path in found] == [file_sha256(model)]


def test_a_folder_is_the_same_one_wherever_it_is_read(
    model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    stored = ArtifactStore("artifacts").put(model, 0, "onnx")
    monkeypatch.chdir("/")
    ArtifactStore("").fetch(stored.uri, stored.sha256, tmp_path / "back")
    assert (tmp_path / "back").exists()


def test_a_root_that_can_not_be_written_says_so(model: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(StoreError, match=r"can't be read or written.*set artifacts\.root to another folder or URI"):
        ArtifactStore(str(tmp_path / "file")).put(model, 0, "onnx")


def test_an_unknown_scheme_says_what_to_write(model: Path) -> None:
    with pytest.raises(StoreError, match="Protocol not known: nowhere; write a folder, or a URI"):
        ArtifactStore("nowhere://bucket").put(model, 0, "onnx")


def test_a_missing_package_is_named(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "s3fs", None)
    with pytest.raises(StoreError, match="Install s3fs"):
        ArtifactStore("s3://bucket").put(model, 0, "onnx")


def test_workers_that_only_store_files_load_no_database() -> None:
    code = "import sys, trials.store.artifacts; print('sqlalchemy' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"
