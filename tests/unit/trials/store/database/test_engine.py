import shutil
import sys
from pathlib import Path

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, Engine, create_engine, inspect, text

from nas.errors import MissingPackageError, StoreError
from tests.conftest import PostgresServer
from trials.store.database.engine import MIGRATIONS, SERVER, check_reachable, migrate, open_engine, to_json
from trials.store.database.urls import parse_url, shown
from trials.store.models import Base
from trials.store.read.rows import find_target
from trials.store.store import Store
from trials.store.write.targets import add_target

HEAD = ScriptDirectory(str(MIGRATIONS)).get_current_head()
NEWER = f"""
import sqlalchemy as sa
from alembic import op

revision, down_revision, branch_labels, depends_on = "9999", "{HEAD}", None, None

def upgrade():
    recreate = "always" if op.get_bind().dialect.name == "sqlite" else "auto"
    with op.batch_alter_table("studies", recreate=recreate) as batch:
        batch.add_column(sa.Column("later", sa.Text(), nullable=True))
"""


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("nas.db", "for a file write sqlite:///nas.db"),
        ("/tmp/some folder/nas.db", "sqlite:////tmp/some folder/nas.db"),
        ("", "not a database URL"),
        ("sqlite://", "lost with this process"),
        ("sqlite:///:memory:", "lost with this process"),
        ("mysql://me:secret@host/name", "'mysql' is not supported"),
        ("postgres://me:secret@host/name", "did you mean 'postgresql'"),
        ("postgresql+asyncpg://me:secret@host/name", "'postgresql+asyncpg' is not supported"),
        ("postgresql://me:secret@127.0.0.1:1/name", "check that the server runs"),
        ("postgresql://nas:my@pass:secret@db/nas", "its port is not a number"),
        ("postgresql://nas:secret@db:port/nas", "its port is not a number"),
        ("postgresql://nas:secret@db:99999/nas", "not between 1 and 65535"),
        ("postgresql://nas:se@secret@db/nas", "an @ too many"),
        ("postgresql://nas/secret:secret@db/nas", "an @ too many"),
        ("postgresql://nas:secret@db\n/nas", "control characters"),
        ("postgresql://nas@127.0.0.1:1/nas?password=secret", "check that the server runs"),
        ("postgresql://nas@127.0.0.1:1/nas?sslpasswort=secret", "invalid connection option"),
        ("postgresql://nas:secret@" + "a" * 300 + "/nas", "can't open"),
        ("postgresql//nas:secret@db/nas", "not a database URL"),
        ("nas:secret@db", "not a database URL"),
        ("sqlite:////nowhere/at/all/nas.db", "check that its folder exists"),
        ("sqlite://nas.db", "three slashes"),
        ("sqlite:///q?mark.db", "can't contain ?"),
        ("sqlite:///file:x?mode=memory&uri=true", "can't contain ?"),
        ("sqlite:///nas\0.db", "control characters"),
        ("sqlite:///nas\udcff.db", "not UTF-8"),
        ("sqlite:////tmp", "can't open"),
        ("sqlite:////dev/null/nas.db", "can't open"),
        ("sqlite:////tmp/" + "n" * 300, "can't open"),
    ],
)
def test_an_url_that_can_not_be_opened_says_what_to_write(url: str, says: str) -> None:
    with pytest.raises(StoreError) as raised:
        open_engine(url)
    assert says in str(raised.value)
    assert "secret" not in str(raised.value)


def test_messages_of_two_ats_hide_both_parts() -> None:
    for url in (
        "postgresql://nas:my@pass:word@db/nas",
        "postgresql://nas:my@pass@db/nas",
        "postgresql://n/my:pass@db/x",
    ):
        with pytest.raises(StoreError) as raised:
            parse_url(url)
        assert "pass@" not in str(raised.value)
        assert "my@" not in str(raised.value)
        assert "word@" not in str(raised.value)
        assert raised.value.__cause__ is None


def test_a_missing_driver_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "psycopg", None)
    for use in (open_engine, check_reachable):
        with pytest.raises(MissingPackageError, match=r"'psycopg'.*pip install 'measured-nas\[postgresql\]'") as raised:
            use("postgresql://me:secret@127.0.0.1/name")
        assert "secret" not in str(raised.value)


def test_postgresql_gets_its_driver() -> None:
    assert parse_url("postgresql://me@host/name").drivername == "postgresql+psycopg"
    assert shown(parse_url("postgresql://me@host/name")) == "'postgresql://me@host/name'"
    assert shown(parse_url("sqlite:///nas.db")) == "'sqlite:///nas.db'"


def test_a_file_that_is_no_database_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "plan.yaml"
    path.write_text("version: 1\n" * 500)
    with pytest.raises(StoreError, match="file is not a database"):
        open_engine(f"sqlite:///{path}")
    assert path.read_text().startswith("version: 1")


def test_tables_of_another_program_are_left_alone(store_url: str) -> None:
    theirs = create_engine(parse_url(store_url))
    with theirs.begin() as connection:
        connection.execute(text("CREATE TABLE studies (study_id INTEGER PRIMARY KEY)"))
    with pytest.raises(StoreError, match="already exists"):
        open_engine(store_url)
    assert inspect(theirs).get_table_names() == ["studies"]
    theirs.dispose()


def test_models_and_migrations_agree(store_url: str) -> None:
    engine = open_engine(store_url)
    with engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_server_default": True})
        assert compare_metadata(context, Base.metadata) == []
    engine.dispose()


def test_migrations_can_be_taken_back(store_url: str) -> None:
    engine = open_engine(store_url)
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    with engine.execution_options(writes=True).begin() as connection:
        config.attributes["connection"] = connection
        command.downgrade(config, "base")
    assert inspect(engine).get_table_names() == ["alembic_version"]
    migrate(engine)
    assert set(Base.metadata.tables) < set(inspect(engine).get_table_names())
    engine.dispose()


@pytest.fixture
def newer(tmp_path: Path) -> Path:
    scripts = tmp_path / "100% newer"
    shutil.copytree(MIGRATIONS, scripts, ignore=shutil.ignore_patterns("__pycache__"))
    (scripts / "versions" / "9999_note.py").write_text(NEWER)
    return scripts


def test_a_database_of_a_newer_program_is_refused(store_url: str, newer: Path) -> None:
    engine = open_engine(store_url)
    migrate(engine, newer)
    engine.dispose()
    with pytest.raises(StoreError, match=rf"version '9999', but this program knows versions up to '{HEAD}'"):
        open_engine(store_url)


def test_an_upgrade_that_rebuilds_a_table_keeps_what_hangs_on_it(study, newer: Path) -> None:
    study.new("a")
    migrate(study.store.engine, newer)
    with study.store.engine.connect() as connection:
        assert connection.execute(text("SELECT note FROM studies")).all() == [(None,)]
        assert connection.execute(text("SELECT count(*) FROM jobs")).scalar() == 1
    study.store.close()


def test_a_failed_upgrade_changes_nothing(store_url: str, newer: Path) -> None:
    script = newer / "versions" / "9999_note.py"
    script.write_text(NEWER + "    op.execute('SELECT no_such_column FROM studies')\n")
    engine = open_engine(store_url)
    with pytest.raises(Exception, match="no_such_column"):
        migrate(engine, newer)
    assert "later" not in {column["name"] for column in inspect(engine).get_columns("studies")}
    engine.dispose()
    open_engine(store_url).dispose()


def test_processes_that_create_one_database_at_once_all_succeed(store_url: str, race) -> None:
    said = race(
        "from trials.store.database.engine import open_engine", "open_engine(argument).dispose()", [store_url] * 4
    )
    assert said == [""] * 4


def test_sqlite_is_set_up_for_several_processes(tmp_path: Path) -> None:
    engine: Engine = open_engine(f"sqlite:///{tmp_path / 'nas.db'}")
    with engine.connect() as connection:

        def pragma(name: str) -> object:
            return connection.exec_driver_sql(f"PRAGMA {name}").scalar()

        assert (pragma("journal_mode"), pragma("foreign_keys"), pragma("synchronous")) == ("wal", 1, 1)
        assert pragma("busy_timeout") == 60_000
    engine.dispose()


def test_a_reader_keeps_no_writer_waiting(tmp_path: Path) -> None:
    store = Store(f"sqlite:///{tmp_path / 'nas.db'}")

    def reading(connection: Connection) -> None:
        assert connection.execute(text("SELECT count(*) FROM targets")).scalar() == 0
        store.write(add_target, "local", {}, {})
        assert connection.execute(text("SELECT count(*) FROM targets")).scalar() == 0

    store.read(reading)
    assert store.read(find_target, "local") is not None
    store.close()


def test_json_has_no_number_that_is_none() -> None:
    assert to_json({"loss": float("nan"), "of": [float("inf"), (1.5, True)]}) == (
        '{"loss": null, "of": [null, [1.5, true]]}'
    )


def test_a_server_that_vanished_is_noticed(postgres: PostgresServer) -> None:
    if postgres.missing:
        pytest.skip(postgres.missing)
    engine = open_engine(f"{postgres.new_schema()}&keepalives_idle=7")
    with engine.connect() as connection:
        raw = connection.connection.driver_connection
        assert raw is not None
        given = raw.info.get_parameters()
        expected = {key: str(value) for key, value in SERVER.items()} | {"keepalives_idle": "7"}
        assert {key: given[key] for key in expected} == expected
        assert connection.exec_driver_sql("SHOW application_name").scalar_one() == "measured-nas"
    engine.dispose()
