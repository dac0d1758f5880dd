"""Exported files are downloaded as one zip, whose name and folder say what is in it."""

from __future__ import annotations

import io
import json
import zipfile
from pathlib import Path

import pytest

from dashboard.sections.export import exported_name, zipped
from tests.browser.seed import seed_database
from tests.unit.dashboard.shown import shown
from trials.launch.detached import new_folder
from trials.store.database.engine import open_engine


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


@pytest.mark.parametrize(
    ("last", "tables", "folded"),
    [
        ('[{"trial": 7, "folder": "x", "verification": "pass", "accuracy": 0.9}]', 2, True),
        ("error: StudyError: no file", 1, False),
    ],
)
def test_the_log_is_folded_where_its_results_are_a_table(last: str, tables: int, folded: bool, tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'nas.db'}"
    engine = open_engine(url)
    seed_database(engine)
    engine.dispose()
    folder = new_folder(tmp_path)
    described = {"study": "digits", "arguments": ["export", "digits"], "queued": True}
    (folder / "command.json").write_text(json.dumps({**described, "asked_at": "2026-03-01T14:05:00+00:00"}))
    (folder / "exit_code").write_text("0")
    (folder / "log").write_text(f"warning: slow\n{last}\n")
    app = shown(url, "export", study="digits")
    assert len(app.dataframe) == tables
    logs = [item for item in app.expander if item.label.startswith("Command and log: done, 2026-03-01 14:05 UTC")]
    assert bool(logs) is folded
    assert any(last in item.value for item in (logs[0].code if folded else app.code))
