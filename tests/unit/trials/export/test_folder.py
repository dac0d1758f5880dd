"""An exported folder appears whole or not at all, and replaces only what an export wrote."""

from __future__ import annotations

import resource
import shutil
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
from safetensors import SafetensorError

from nas.errors import ExportError, PlanError
from trials.export.outputs import new_folder
from trials.export.placing import placed_whole

KILLED = """
import os, pathlib, signal, sys
from trials.export.placing import placed_whole
with placed_whole(pathlib.Path(sys.argv[1])) as made:
    (made / "model.onnx").write_bytes(b"half")
    print(made.parent.name, flush=True)
    os.kill(os.getpid(), signal.SIGKILL)
"""


def write(folder: Path, *, force: bool = False, **files: str) -> None:
    with placed_whole(folder, force=force) as made:
        for name, text in files.items():
            (made / name).write_text(text)


def content(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}


def write_on_a_full_disk(folder: Path) -> None:
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, before[1]))
    try:
        write(folder, small="text", large="text" * 100_000)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_the_sums_are_those_of_sha256sum(tmp_path: Path) -> None:
    folder = tmp_path / "mein Ordner ü"
    with placed_whole(folder) as made:
        (made / "parts").mkdir()
        (made / "parts" / "__pycache__").mkdir()
        (made / "parts" / "__pycache__" / "run.pyc").write_bytes(b"1")
        (made / "parts" / "weights.bin").write_bytes(b"1")
        (made / "run.py").write_text("new")
    assert content(tmp_path) == {f"{folder.name}/{name}" for name in ("parts/weights.bin", "run.py", "SHA256SUMS")}
    done = subprocess.run(["sha256sum", "-c", "SHA256SUMS"], cwd=folder, capture_output=True, text=True, check=True)
    assert done.stdout == "parts/weights.bin: OK\nrun.py: OK\n"


def test_a_disk_that_is_full_half_way_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(ExportError, match="can't be written: File too large; nothing was written"):
        write_on_a_full_disk(tmp_path / "new" / "folder")
    assert list(tmp_path.iterdir()) == []


def test_a_library_that_reports_a_full_disk_as_text_leaves_nothing(tmp_path: Path) -> None:
    said = "Error while serializing: I/O error: No space left on device (os error 28)"
    with (
        pytest.raises(ExportError, match="out can't be written: No space left on device; nothing was written"),
        placed_whole(tmp_path / "out"),
    ):
        raise SafetensorError(said)
    assert list(tmp_path.iterdir()) == []


def test_any_error_on_a_full_disk_is_a_lack_of_space(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: SimpleNamespace(free=4096))
    with pytest.raises(ExportError, match="No space left on device"), placed_whole(tmp_path / "out"):
        raise RuntimeError("model.bin is truncated")


def test_a_killed_export_leaves_a_folder_that_the_next_one_removes(tmp_path: Path) -> None:
    killed = subprocess.run([sys.executable, "-c", KILLED, str(tmp_path / "out")], capture_output=True, text=True)
    assert killed.returncode < 0
    assert [path.name for path in tmp_path.iterdir()] == [killed.stdout.strip()]
    write(tmp_path / "out", model="whole")
    assert content(tmp_path) == {"out/model", "out/SHA256SUMS"}


def test_an_earlier_export_is_replaced_as_a_whole_and_only_with_force(tmp_path: Path) -> None:
    folder = new_folder(tmp_path / "out", force=False)
    write(folder, model="old", gone="old")
    with pytest.raises(PlanError, match="is not empty; give another"):
        new_folder(folder, force=False)
    write(new_folder(folder, force=True), force=True, model="new")
    assert content(folder) == {"model", "SHA256SUMS"}
    (folder / "notes.txt").write_text("mine")
    with pytest.raises(PlanError, match=r"contains files that no export wrote: notes\.txt"):
        new_folder(folder, force=True)


def write_while_somebody_else_does(folder: Path, *, force: bool) -> None:
    with placed_whole(folder, force=force) as made:
        (made / "model").write_text("new")
        folder.mkdir()
        (folder / "notes.txt").write_text("mine")


@pytest.mark.parametrize("force", [False, True])
def test_files_that_appear_meanwhile_stay(force: bool, tmp_path: Path) -> None:
    folder = new_folder(tmp_path / "out", force=force)
    with pytest.raises(PlanError, match=r"is not empty|contains files that no export wrote"):
        write_while_somebody_else_does(folder, force=force)
    assert content(tmp_path) == {"out/notes.txt"}


def test_another_export_that_ended_meanwhile_is_replaced_only_with_force(tmp_path: Path) -> None:
    folder = new_folder(tmp_path / "out", force=False)
    with pytest.raises(PlanError, match="is not empty"), placed_whole(folder):
        write(folder, model="theirs")
    assert (folder / "model").read_text() == "theirs"
    with placed_whole(folder, force=True) as made:
        (made / "model").write_text("mine")
    assert (folder / "model").read_text() == "mine"


def test_an_earlier_export_comes_back_if_the_new_one_can_not_be_renamed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path / "out", model="old")
    rename = Path.rename

    def fails(path: Path, target: Path) -> Path:
        if path.name == "made":
            raise OSError("no")
        return rename(path, target)

    monkeypatch.setattr(Path, "rename", fails)
    with pytest.raises(ExportError, match="can't be written: no"):
        write(tmp_path / "out", force=True, model="new")
    assert (tmp_path / "out" / "model").read_text() == "old"


def test_an_error_of_the_block_is_not_called_a_lack_of_space(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"images\.npz"), placed_whole(tmp_path / "out"):
        (tmp_path / "images.npz").read_bytes()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["notes.txt", "SHA256SUMS"])
def test_a_folder_of_other_files_is_never_replaced(name: str, tmp_path: Path) -> None:
    (tmp_path / "photo.jpg").write_bytes(b"mine")
    (tmp_path / name).write_bytes(b"\xff mine")
    with pytest.raises(PlanError, match=r"no export wrote: .*photo\.jpg"):
        new_folder(tmp_path, force=True)


def test_a_folder_that_can_not_be_renamed_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(PlanError, match="is the working folder"):
        new_folder(Path("."), force=False)
    link = tmp_path / "link"
    (tmp_path / "real").mkdir()
    link.symlink_to(tmp_path / "real")
    write(new_folder(link, force=False), model="new")
    assert content(tmp_path / "real") == {"model", "SHA256SUMS"}
    assert link.is_symlink()
