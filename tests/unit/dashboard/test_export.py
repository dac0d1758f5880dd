"""Exported files are downloaded as one zip, whose name and folder say what is in it."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path

import pytest

from dashboard.sections.export import exported_name, zipped


@pytest.mark.parametrize(
    ("study", "numbers", "name"),
    [
        ("digits", [7], "digits-trial-7"),
        ("digits", [7, 9], "digits"),
        ("digits", [], "digits"),
        ("../a b/ü:*", [], "a-b"),
        ("..", [3], "study-trial-3"),
    ],
)
def test_a_zip_is_named_after_its_study_and_trial(study: str, numbers: list[int], name: str) -> None:
    assert exported_name(study, numbers) == name


def test_all_files_of_a_zip_are_in_one_folder(tmp_path: Path) -> None:
    (tmp_path / "weights").mkdir()
    (tmp_path / "run.py").write_text("print()")
    (tmp_path / "weights" / "a.bin").write_bytes(b"\0" * 9)
    with zipfile.ZipFile(io.BytesIO(zipped(tmp_path, "digits-trial-7"))) as packed:
        names = packed.namelist()
        assert packed.read("digits-trial-7/weights/a.bin") == b"\0" * 9
    assert {name for name in names if not name.endswith("/")} == {
        "digits-trial-7/run.py",
        "digits-trial-7/weights/a.bin",
    }
