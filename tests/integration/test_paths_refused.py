"""Paths, URLs and numbers that can't be used, for every command: one message, exit code 2, nothing done."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from tests.browser.seed import seed_database
from tests.integration.forks import nas_many
from trials.export.selection import Selection, select
from trials.store.database.engine import open_engine
from trials.store.store import Store

TOO_MANY = "99999999999999999999"


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> str:
    url = f"sqlite:///{tmp_path_factory.mktemp('paths') / 'nas.db'}"
    engine = open_engine(url)
    seed_database(engine)
    engine.dispose()
    return url


@pytest.fixture
def full(tmp_path: Path) -> Iterator[Path]:
    """A file system without space."""
    folder = tmp_path / "full"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=4k", "tmpfs", str(folder)]
    if os.geteuid() != 0 or subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("this user can't mount")
    (folder / "filler").write_bytes(b"0" * 4096)
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def refused(commands: Sequence[Sequence[str]]) -> list[str]:
    """The messages of the commands, each of which must be refused."""
    said = []
    for done in nas_many(*commands):
        assert done.returncode == 2, (done.args, done.stdout, done.stderr)
        assert "Traceback" not in done.stderr, (done.args, done.stderr)
        assert done.stderr.strip(), done.args
        said.append(done.stderr)
    return said


def writing(path: str, url: str) -> list[list[str]]:
    """Every command that writes a folder or a file, with this path as its output."""
    storage = ["--storage", url]
    return [
        ["export", "digits", "--best", "--out", path, *storage],
        ["export", "digits", "--pareto", "--out", path, *storage],
        ["report", "digits", "--out", path, *storage],
        ["optuna-export", "digits", f"sqlite:///{path}/optuna.db", *storage],
        ["init", f"{path}/plan.yaml"],
        ["agent", "--bundle", f"{path}/agent.pyz"],
    ]


def test_folders_that_can_not_be_made_or_written(url: str, tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text("text")
    loop = tmp_path / "loop"
    loop.symlink_to(loop)
    places = [str(file), f"{file}/under", "/proc/none/x", "/dev/null", "n" * 300, str(loop)]
    refused([command for place in places for command in writing(place, url)])
    assert file.read_text() == "text"


def test_folders_that_hold_files_are_not_written_into(url: str, tmp_path: Path) -> None:
    storage = ["--storage", url]
    front = select(Store(url), "digits", Selection(pareto=True))
    own = tmp_path / f"trial-{front[-1]}" / "run.py"
    own.parent.mkdir()
    own.write_text("mine")
    said = refused(
        [
            ["export", "digits", "--best", "--out", str(own.parent), *storage],
            ["export", "digits", "--pareto", "--out", str(tmp_path), *storage],
        ]
    )
    assert all("is not empty; give another. nas export --force" in " ".join(text.split()) for text in said)
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == [own]
    assert own.read_text() == "mine"
    assert list(tmp_path.iterdir()) == [own.parent]


def test_a_full_disk_is_noticed_before_work(url: str, full: Path) -> None:
    storage = ["--storage", url]
    said = refused([["export", "digits", "--best", "--out", str(full), *storage], ["init", str(full / "plan.yaml")]])
    assert all("No space left" in text for text in said)


def test_files_that_can_not_be_read(url: str, tmp_path: Path) -> None:
    places = [str(tmp_path), str(tmp_path / "none"), "/dev/null/x", "n" * 300]
    verbs = [["measure"], ["validate"], ["search", "--storage", url], ["agent", "--token-file"]]
    refused([[*verb, place] for place in places for verb in verbs])
    add = ["targets", "add", "pi", "--address", "https://127.0.0.1:1", "--storage", url]
    refused([[*add, option, place] for place in places for option in ("--token-file", "--tls-ca")])


def test_urls_that_can_not_be_opened_on_every_verb(tmp_path: Path) -> None:
    (tmp_path / "text.db").write_text("no database\n" * 200)
    urls = ["postgresql://nas:my@pass:secret@db/nas", "sqlite:///q?mark.db", "nas.db", f"sqlite:///{tmp_path}"]
    urls += [f"sqlite:///{tmp_path}/text.db", "mysql://me:secret@host/x", "sqlite:////none/x.db"]
    copy = f"sqlite:///{tmp_path}/optuna.db"
    verbs = [["list"], ["status", "x"], ["show", "x"], ["profile", "x", "0"], ["export", "x", "--best", "--out", "o"]]
    verbs += [["report", "x", "--out", "o"], ["dashboard"], ["optuna-export", "x", copy], ["gc", "x"]]
    verbs += [
        ["delete", "x", "--yes"],
        ["resume", "x"],
        ["twins", "x"],
        ["targets", "list"],
        ["targets", "remove", "x"],
    ]
    said = refused([[*verb, "--storage", url] for url in urls for verb in verbs])
    assert not any("secret" in text for text in said)
    assert not (tmp_path / "optuna.db").exists()


def test_numbers_that_can_not_be(url: str) -> None:
    storage = ["--storage", url]
    refused(
        [
            *(["show", "digits", number, *storage] for number in (TOO_MANY, "x", "1.5", "nan", "9" * 5000)),
            *(["show", "digits", "--limit", number, *storage] for number in ("-1", "0", TOO_MANY)),
            *(["export", "digits", "--trial", number, "--out", "o", *storage] for number in (TOO_MANY, "-1", "999")),
            ["profile", "digits", TOO_MANY, *storage],
            ["show", "digits", "999", *storage],
            ["twins", "digits", "--max-networks", "0", *storage],
            ["dashboard", "--port", "99999", *storage],
            ["agent", "--port", TOO_MANY],
            ["init", "x.yaml", "--trials", TOO_MANY],
            ["init", "x.yaml", "--limit", "latency_ms=nan"],
            ["init", "x.yaml", "--limit", "latency_ms=1e999"],
            ["measure", "x.onnx", "--threads", TOO_MANY],
        ]
    )


def test_arguments_that_are_no_text(url: str) -> None:
    said = refused([["list", "--storage", "sqlite:///\udcff.db"], ["show", "\udcff", "--storage", url], ["\udcff"]])
    assert all("is not UTF-8" in text for text in said)
