"""Text from a database, a plan or an error is shown as text: by every command, on every terminal."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.browser.seed_hostile import LURE, MARKUP, NAME, PASSWORD, seed_hostile
from tests.integration.forks import nas
from trials.store.database.engine import open_engine

FAILED = "11"
VERBS: Sequence[Sequence[str]] = (
    ("list",),
    ("status", NAME),
    ("show", NAME),
    ("show", NAME, "0"),
    ("show", NAME, FAILED),
    ("show", NAME, "--targets"),
    ("list", "--json"),
    ("show", NAME, "0", "--json"),
)
#: Runs the commands given in its first argument on the storage given in its second.
SEVERAL = """
import sys
from trials.cli import main
_, verbs, storage = sys.argv
for verb in eval(verbs):
    sys.argv = ["nas", *verb, "--storage", storage]
    try:
        main()
    except SystemExit as end:
        assert not end.code
"""


@pytest.fixture(scope="module")
def hostile(tmp_path_factory: pytest.TempPathFactory) -> str:
    url = f"sqlite:///{tmp_path_factory.mktemp('hostile') / 'nas.db'}"
    engine = open_engine(url)
    seed_hostile(engine)
    engine.dispose()
    return url


@pytest.mark.parametrize("verb", VERBS, ids=" ".join)
def test_verbs_show_it_as_it_is(verb: Sequence[str], hostile: str) -> None:
    done = nas(*verb, "--storage", hostile)
    assert "Traceback" not in done.stderr
    assert not {"\x1b", "\x07", "\u202e"} & set(done.stdout)
    assert PASSWORD not in done.stdout
    if "--json" in verb:
        json.loads(done.stdout)
    else:
        assert NAME in done.stdout or verb[0] == "list" or len(verb) == 2 or "--targets" in verb


def test_a_reason_is_shown_letter_by_letter_in_one_line(hostile: str) -> None:
    lines = nas("show", NAME, FAILED, "--storage", hostile).stdout.splitlines()
    assert any(line.startswith(f"{NAME} trial {FAILED} failed") for line in lines)
    assert "[/x] [red]r[/red] <script" in "".join(lines)


def test_errors_show_what_was_typed(hostile: str) -> None:
    for arguments in (["status", MARKUP], ["show", NAME, "[/x]"], ["search", f"{MARKUP}.yaml"], ["[/x]"], ["--[/x]"]):
        refused = nas(*arguments, *(["--storage", hostile] if arguments[0] == "status" else []), check=False)
        assert refused.returncode == 2, refused.stderr
        assert "Traceback" not in refused.stderr
        assert "[/x]" in refused.stderr or "valid integer" in refused.stderr


@pytest.mark.parametrize(
    "encoding", ["ascii", *(pytest.param(name, marks=pytest.mark.slow) for name in ("latin-1", "utf-16"))]
)
def test_terminals_of_other_encodings_get_replaced_characters(encoding: str, hostile: str) -> None:
    environment = {**os.environ, "PYTHONIOENCODING": encoding, "LANG": "C", "COLUMNS": "1", "TERM": "dumb"}
    verbs = [verb for verb in VERBS if "--json" not in verb]
    done = subprocess.run(
        [sys.executable, "-c", SEVERAL, repr(verbs), hostile], env=environment, capture_output=True, timeout=200
    )
    assert done.returncode == 0, done.stderr
    assert b"Traceback" not in done.stderr


def test_the_report_escapes_everything(hostile: str, tmp_path: Path) -> None:
    nas("report", NAME, "--out", str(tmp_path), "--storage", hostile)
    page = (tmp_path / "report.html").read_text()
    own = page[page.index("</style>") :]
    assert f"<script src={LURE}" not in own
    assert f"<img src={LURE}" not in own
    assert PASSWORD not in own
    assert "[/x] [red]r[/red] &lt;script" in own
