"""What an exported folder holds."""

from __future__ import annotations

from pathlib import Path

from trials.export.folder import copy_into


def test_folders_of_a_runtime_are_copied_and_other_files_stay(tmp_path: Path) -> None:
    made, folder = tmp_path / "made", tmp_path / "new" / "folder"
    (made / "parts").mkdir(parents=True)
    (made / "parts" / "weights.bin").write_bytes(b"1")
    (made / "run.py").write_text("new")
    copy_into(made, folder)
    (folder / "mine").write_text("mine")
    (made / "run.py").write_text("newer")
    copy_into(made, folder)
    found = {str(path.relative_to(folder)): path.read_text() for path in folder.rglob("*") if path.is_file()}
    assert found == {"parts/weights.bin": "1", "run.py": "newer", "mine": "mine"}
