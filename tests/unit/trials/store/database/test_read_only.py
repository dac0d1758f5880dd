"""Databases that can be read but not written."""

from __future__ import annotations

import os
import shutil
import sqlite3
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from nas.errors import StoreError, UnknownNameError
from trials.store.database.engine import open_engine
from trials.store.database.read_only import network_type
from trials.store.read.rows import study_row
from trials.store.read.studies import list_studies
from trials.store.store import Store
from trials.store.write.leases import acquire_lease, release_lease
from trials.store.write.studies import create_study

COLUMNS: dict[str, Any] = {"plan": {}, "limits": {}, "objectives": {}, "environment": {}}


def with_study(path: Path) -> Path:
    store = Store(f"sqlite:///{path}")
    store.write(create_study, name="study", group="study", role="search", seed=0, **COLUMNS)
    store.close()
    return path


@pytest.fixture
def freeze() -> Iterator[Callable[[Path], None]]:
    """Makes a folder read-only, even for root."""
    mounted: list[Path] = []

    def run(*command: str) -> bool:
        return subprocess.run(command, capture_output=True).returncode == 0

    def read_only(folder: Path) -> None:
        if os.geteuid() != 0:
            folder.chmod(0o500)
        elif not run("mount", "--bind", str(folder), str(folder)):
            pytest.skip("the superuser can't mount here")
        else:
            mounted.append(folder)
            assert run("mount", "-o", "remount,ro,bind", str(folder))

    yield read_only
    for folder in mounted:
        assert run("umount", str(folder))


@pytest.fixture
def read_only(tmp_path: Path, freeze: Callable[[Path], None]) -> Path:
    """A folder that can't be written and holds a database."""
    folder = tmp_path / "read-only"
    folder.mkdir()
    with_study(folder / "nas.db")
    freeze(folder)
    return folder


def test_it_can_be_looked_at(read_only: Path) -> None:
    engine = open_engine(f"sqlite:///{read_only}/nas.db")
    assert [row.name for row in list_studies(engine)] == ["study"]
    assert not list(read_only.glob("nas.db-*"))
    engine.dispose()


def test_what_writes_says_that_it_can_not(read_only: Path) -> None:
    store = Store(f"sqlite:///{read_only}/nas.db")
    assert store.read(study_row, "study").name == "study"
    for write in (store.check_writable, lambda: store.delete_study("study")):
        with pytest.raises(StoreError, match="this user can't write to the database"):
            write()
    with pytest.raises(UnknownNameError, match="no study 'other'"):
        store.read(study_row, "other")
    store.close()


def test_where_nothing_can_be_created_a_new_database_is_refused(read_only: Path) -> None:
    with pytest.raises(StoreError, match=r"can't open .*check that its folder exists"):
        open_engine(f"sqlite:///{read_only}/new.db")


def test_older_tables_are_not_upgraded_there(tmp_path: Path, freeze: Callable[[Path], None]) -> None:
    path = with_study(tmp_path / "nas.db")
    with sqlite3.connect(path) as connection:
        connection.execute("UPDATE alembic_version SET version_num = '0001'")
    connection.close()
    freeze(tmp_path)
    with pytest.raises(StoreError, match="this user can't write to the database"):
        open_engine(f"sqlite:///{path}")


def test_the_last_commits_of_a_crashed_writer_are_read(tmp_path: Path, freeze: Callable[[Path], None]) -> None:
    path = with_study(tmp_path / "nas.db")
    writer = Store(f"sqlite:///{path}")
    writer.write(create_study, name="late", group="late", role="search", seed=0, **COLUMNS)
    copy = tmp_path / "copy"
    copy.mkdir()
    for file in tmp_path.glob("nas.db*"):
        shutil.copy(file, copy)
    writer.close()
    freeze(copy)
    assert {row.name for row in list_studies(open_engine(f"sqlite:///{copy}/nas.db"))} == {"study", "late"}


def test_a_newer_program_s_tables_are_refused(tmp_path: Path, freeze: Callable[[Path], None]) -> None:
    path = with_study(tmp_path / "nas.db")
    with sqlite3.connect(path) as connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")
    connection.close()
    freeze(tmp_path)
    with pytest.raises(StoreError, match="tables of version '9999'"):
        open_engine(f"sqlite:///{path}")


@pytest.mark.parametrize("text", ["\udcff", "a\0b", {"\0": ["\udc00"]}])
def test_text_that_no_database_takes_is_stored_cleaned(text: Any, store_url: str) -> None:
    store = Store(store_url)
    study = {"name": "study", "group": "study", "role": "search", "seed": 0}
    identity = store.write(create_study, **study, **{**COLUMNS, "environment": {"text": text}})
    lease = store.write(acquire_lease, identity, "me", 60)
    store.write(release_lease, lease, "interrupted", {}, f"{text}" if isinstance(text, str) else None)
    row = store.read(study_row, "study")
    assert "\N{REPLACEMENT CHARACTER}" in str(row.environment["text"])
    assert row.error is None or "\N{REPLACEMENT CHARACTER}" in row.error
    store.close()


MOUNTS = r"""22 1 8:1 / / rw,relatime - ext4 /dev/sda1 rw
30 22 0:40 / /home rw,relatime shared:1 - nfs4 server:/home rw,vers=4.2
31 30 0:41 / /home/me/local\040disk rw,relatime - ext4 /dev/sdb1 rw
32 22 0:42 / /scratch rw,relatime - lustre mgs:/scratch rw
"""


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("/tmp/nas.db", None),
        ("/home/me/nas.db", "nfs4"),
        ("/homes/nas.db", None),
        ("/home/me/local disk/nas.db", None),
        ("/scratch/nas.db", "lustre"),
    ],
)
def test_network_file_systems_are_known(path: str, kind: str | None, tmp_path: Path) -> None:
    table = tmp_path / "mountinfo"
    table.write_text(MOUNTS)
    assert network_type(Path(path), table) == kind
    assert network_type(Path(path), tmp_path / "missing") is None


def test_a_database_on_a_network_file_system_is_read_but_not_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = with_study(tmp_path / "nas.db")
    monkeypatch.setattr("trials.store.database.read_only._network_type_of", lambda folder: "nfs4")
    store = Store(f"sqlite:///{path}")
    assert [row.name for row in list_studies(store)] == ["study"]
    for write in (store.check_writable, lambda: store.delete_study("study")):
        with pytest.raises(StoreError, match=r"network file system \(nfs4\).*or a PostgreSQL database"):
            write()
    with pytest.raises(StoreError, match="network file system"):
        Store(f"sqlite:///{tmp_path / 'new.db'}")
