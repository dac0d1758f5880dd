import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
from sqlalchemy import text

from trials.store.store import Store


@pytest.fixture
def opened(tmp_path: Path) -> Callable[[str], Store]:
    return lambda name: Store(f"sqlite:///{tmp_path / name}")


def test_every_database_has_an_identity_of_its_own_and_keeps_it(opened: Callable[[str], Store]) -> None:
    first, other = opened("a.db").identity, opened("b.db").identity
    assert first.key != other.key
    assert opened("a.db").identity == first
    assert first.named_before is not None


def test_a_copy_gets_an_identity_of_its_own_and_owns_no_older_files(
    opened: Callable[[str], Store], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    original = opened("a.db")
    before = original.identity
    original.close()
    shutil.copyfile(tmp_path / "a.db", tmp_path / "copy.db")
    copy = opened("copy.db").identity
    assert copy.key != before.key
    assert copy.named_before is None
    assert "is a copy of the one at" in caplog.text
    assert opened("copy.db").identity == copy
    assert opened("a.db").identity == before


def test_a_moved_database_keeps_its_identity(opened: Callable[[str], Store], tmp_path: Path) -> None:
    original = opened("a.db")
    before = original.identity
    original.close()
    (tmp_path / "a.db").rename(tmp_path / "moved.db")
    assert opened("moved.db").identity == before
    assert opened("a.db").identity.key != before.key  # a new database at the old path


def test_a_moved_database_whose_place_was_taken_keeps_its_identity(
    opened: Callable[[str], Store], tmp_path: Path
) -> None:
    original = opened("a.db")
    before = original.identity
    original.close()
    (tmp_path / "a.db").rename(tmp_path / "moved.db")
    sqlite3.connect(tmp_path / "a.db").close()
    (tmp_path / "a.db").write_text("no database")
    assert opened("moved.db").identity == before


def test_a_link_to_a_database_is_the_same_database(opened: Callable[[str], Store], tmp_path: Path) -> None:
    before = opened("a.db").identity
    (tmp_path / "link.db").hardlink_to(tmp_path / "a.db")
    assert opened("link.db").identity == before


def test_a_restored_dump_of_a_server_gets_an_identity_of_its_own(store: Store) -> None:
    if store.engine.dialect.name != "postgresql":
        pytest.skip("SQLite has no server")
    before = store.identity
    with closing(Store(store.url)) as again:
        assert again.identity == before
    with store.transaction() as connection:
        connection.execute(text("UPDATE database SET place = 'another server'"))
    with closing(Store(store.url)) as restored:
        assert restored.identity.key != before.key
