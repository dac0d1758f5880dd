from concurrent.futures import ThreadPoolExecutor, wait
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest
from sqlalchemy import insert, select, text
from sqlalchemy.exc import StatementError

from nas.errors import StoreError, StudyError, UnknownNameError
from nas.strategies import Suggestion
from tests.unit.trials.store.conftest import new_study
from trials.store.models import Architecture, Base, Candidate, JobRow, Target
from trials.store.read.history import kept_artifacts
from trials.store.read.rows import find_target, study_row, target_rows
from trials.store.records import (
    ArchitectureValue,
    ArtifactValue,
    ExportValue,
    ImportedValue,
    JobResult,
    MeasurementValue,
    MetricValue,
    ProfileValue,
    Proposed,
)
from trials.store.store import Store
from trials.store.write.final_trainings import add_final_epoch, begin_final_training
from trials.store.write.imported import add_imported
from trials.store.write.jobs import add_epochs, commit_job
from trials.store.write.leases import acquire_lease, release_lease, renew_lease
from trials.store.write.log import LogLine, add_lines
from trials.store.write.outcomes import add_export, add_profile, mark_deleted
from trials.store.write.proposals import propose
from trials.store.write.rechecks import add_recheck
from trials.store.write.rounds import Change, write_round
from trials.store.write.studies import check_name_free
from trials.store.write.targets import add_target, remove_target


def _fill(study, identity: str) -> None:
    proposed, attempt = study.started(identity)
    study.store.write(add_epochs, proposed.candidate_id, proposed.job_id, attempt, [(1, {"loss": 1.0})])
    result = JobResult(
        {},
        [MetricValue("accuracy", "", 0.5)],
        [MeasurementValue("local", "gate", 1.0, 1.0, 1.0, "h", {}, b"s")],
        [ArtifactValue("onnx", f"/files/{study.name}.onnx", "0" * 64, 10)],
        next_jobs=[("train", "")],
    )
    study.store.write(commit_job, proposed.job_id, attempt, result)
    study.store.write(
        add_profile, study.name, proposed.number, ProfileValue("local", 1.0, 10, "1.0", [{"name": "a/Conv"}])
    )
    scores = {"test": {"accuracy": (0.5, 0.4, 0.6)}}
    study.store.write(add_export, study.name, proposed.number, ExportValue("/out", "0" * 64, scores))
    begun = study.store.write(
        begin_final_training, study.name, proposed.number, key="k", recipe={}, environment={}, owner="elsewhere:1:1"
    )
    study.store.write(add_final_epoch, begun, 0, {"loss": 1.0})
    measured = MeasurementValue("local", "imported", 1.0, 0.9, 1.1, "", {}, b"s")
    file = ArtifactValue("onnx", f"/files/{study.name}.onnx", "0" * 64, 10)
    network = ImportedValue("own", {}, file, [MetricValue("accuracy", "", 0.5)], {}, [], [measured], {})
    study.store.write(add_imported, study.name, network, force=True)
    study.store.write(add_recheck, study.name, {"target": "local"})
    study.store.write(add_lines, study.id, [LogLine("info", "failed", 0.0, proposed.candidate_id)])


def test_a_study_is_read_as_it_was_written(store: Store, study) -> None:
    row = store.read(study_row, "digits")
    assert (row.id, row.group, row.role, row.state) == (study.id, "digits", "search", "running")
    assert (row.seed, row.objectives, row.totals) == (2**40, {"accuracy": "maximize"}, {})
    assert abs(datetime.now(UTC) - row.created_at) < timedelta(minutes=1)


def test_a_name_is_taken_once(store: Store, study) -> None:
    for again in (lambda name: store.read(check_name_free, name), lambda name: new_study(store, name)):
        with pytest.raises(StudyError, match=r"a study 'digits' exists; continue it with `nas resume digits`.*--name"):
            again("digits")
    store.read(check_name_free, "digits-2")


@pytest.mark.parametrize("name", ["", "x" * 201])
def test_a_name_no_database_takes_is_refused(store: Store, name: str) -> None:
    with pytest.raises(StudyError, match="1 to 200 characters"):
        store.read(check_name_free, name)


def test_an_unknown_study_names_the_nearest(store: Store, study) -> None:
    with pytest.raises(UnknownNameError, match=r"no study 'digit' .*did you mean 'digits'.*It has: digits"):
        store.read(study_row, "digit")


def test_an_empty_database_says_so(store: Store) -> None:
    with pytest.raises(UnknownNameError, match="it has: none yet"):
        store.read(study_row, "digits")


def commits(proposed: Proposed, attempt: int) -> Change:
    def change(connection, lease) -> None:
        commit_job(connection, proposed.job_id, attempt, JobResult({}))

    return change


def test_totals_are_kept(store: Store, study) -> None:
    assert store.write(renew_lease, study.lease, 60, {"wall_s": 3.5})
    assert store.read(study_row, "digits").totals == {"wall_s": 3.5}
    proposed, attempt = study.started("a")
    commit = commits(proposed, attempt)
    store.write(write_round, study.lease, [commit], {"wall_s": 4.5})
    assert store.read(study_row, "digits").totals == {"wall_s": 4.5}


def test_totals_of_a_former_coordinator_are_not_kept(store: Store, study) -> None:
    proposed, attempt = study.started("a")
    store.write(release_lease, study.lease, "interrupted", {"wall_s": 9.0})
    lease = store.write(acquire_lease, study.id, "elsewhere:1:2", 60)
    assert not store.write(renew_lease, study.lease, 60, {"wall_s": 1.0})
    for totals in ({"wall_s": 1.0}, None):
        with pytest.raises(StudyError, match="another coordinator took over"):
            store.write(write_round, study.lease, [commits(proposed, attempt)], totals)
    assert store.read(study_row, "digits").totals == {"wall_s": 9.0}
    assert [row.state for row in study.rows(JobRow)] == ["running"], "nor are its results"
    assert store.write(renew_lease, lease, 60, {"wall_s": 10.0})


def test_a_deleted_study_takes_all_that_is_its_own(store: Store, study, other_study) -> None:
    _fill(study, "a")
    _fill(study, "b")
    _fill(other_study, "b")
    store.write(release_lease, study.lease, "complete", {})
    store.delete_study("digits")
    left = {mapper.class_.__name__: study.num(mapper.class_) for mapper in Base.registry.mappers}
    assert left == {
        "DatabaseRow": 1,
        "Target": 1,
        "Study": 1,
        "Architecture": 1,
        "Candidate": 1,
        "SuggestionRow": 1,
        "Metric": 1,
        "JobRow": 2,
        "EpochRow": 1,
        "FinalTrainingRow": 1,
        "FinalEpochRow": 1,
        "Measurement": 1,
        "ArtifactRow": 1,
        "ProfileRow": 1,
        "ExportRow": 1,
        "ImportedRow": 1,
        "ImportedMeasurement": 1,
        "RecheckRow": 1,
        "LogRow": 1,
    }
    assert [row.identity for row in study.rows(Architecture)] == ["b"]
    assert [row.study_id for row in study.rows(Candidate)] == [other_study.id]


def test_a_live_study_is_not_deleted(store: Store, study) -> None:
    with pytest.raises(StudyError, match="run by elsewhere:1:1"):
        store.delete_study("digits")
    assert store.read(study_row, "digits").id == study.id


def test_a_coordinator_whose_study_was_deleted_ends(store: Store, study) -> None:
    store.write(release_lease, study.lease, "complete", {})
    store.delete_study("digits")
    with pytest.raises(StudyError, match="was deleted"):
        study.propose("a")


def test_deleting_a_study_keeps_what_another_one_is_proposing(store: Store, study, other_study) -> None:
    for identity in "abc":
        study.new(identity)
    store.write(release_lease, study.lease, "complete", {})
    with ThreadPoolExecutor(1) as other:
        with store.transaction() as connection:
            network = ArchitectureValue("b", "plain", {}, 1, 1, [])
            propose(connection, other_study.lease, Suggestion(0, (), {}), network, ("gate", "local"))
            deleted = other.submit(store.delete_study, "digits")
            wait([deleted], timeout=0.5)  # PostgreSQL commits at once, SQLite waits for this transaction
        deleted.result(30)
    assert [row.identity for row in study.rows(Architecture)] == ["b"]
    assert [row.study_id for row in study.rows(Candidate)] == [other_study.id]


def test_files_are_listed_until_they_are_deleted(store: Store, study, other_study) -> None:
    _fill(study, "a")
    _fill(other_study, "a")
    (kept,) = store.read(kept_artifacts, "digits")
    assert (kept.candidate_number, kept.kind, kept.uri) == (0, "onnx", "/files/digits.onnx")
    assert (kept.sha256, kept.size_bytes) == ("0" * 64, 10)
    store.write(mark_deleted, kept.artifact_id)
    assert store.read(kept_artifacts, "digits") == []
    assert len(store.read(kept_artifacts, "digits-random")) == 1


def test_the_first_calibration_of_a_target_stays(store: Store) -> None:
    assert store.read(find_target, "local") is None
    store.write(add_target, "local", {"threads": 1}, {"0": 0.5})
    store.write(add_target, "local", {"threads": 2}, {"0": 0.7})
    found = store.read(find_target, "local")
    assert found is not None
    assert (found.description, found.references) == ({"threads": 1}, {"0": 0.5})


def test_targets_are_listed_by_name_and_removed(store: Store) -> None:
    for name in ("pi", "local"):
        store.write(add_target, name, {"spec": {"name": name}}, {})
    rows = store.read(target_rows)
    assert [(row.name, row.description, row.measurements) for row in rows] == [
        ("local", {"spec": {"name": "local"}}, 0),
        ("pi", {"spec": {"name": "pi"}}, 0),
    ]
    assert rows[0].created_at.tzinfo is UTC
    assert store.write(remove_target, "pi") == 0
    assert [row.name for row in store.read(target_rows)] == ["local"]


def test_times_come_back_in_utc(store: Store) -> None:
    there = datetime(2026, 7, 1, 2, 30, 15, 123456, tzinfo=timezone(timedelta(hours=9)))
    row = {"name": "t", "description": {}, "references": {}}
    with store.transaction() as connection:
        connection.execute(insert(Target).values(**row, created_at=there))
        found = connection.execute(select(Target.created_at)).scalar_one()
    assert found == there
    assert found.tzinfo is UTC
    with pytest.raises(StatementError, match="a stored time needs a time zone"), store.transaction() as connection:
        connection.execute(insert(Target).values(**row | {"name": "u"}, created_at=datetime(2026, 7, 1)))


def test_artifacts_go_beside_an_sqlite_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    store = Store("sqlite:///nas.db")
    assert store.folder == tmp_path
    store.close()


def test_a_writer_that_waits_too_long_gets_our_error(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'nas.db'}"
    store, other = Store(url), Store(url)
    with store.engine.connect() as connection:
        connection.exec_driver_sql("PRAGMA busy_timeout=20")
    with other.transaction(), pytest.raises(StoreError, match=r"database is locked.*continue with `nas resume`"):
        store.write(add_target, "local", {}, {})
    store.close()
    other.close()


def test_a_server_that_goes_away_gets_our_error(store: Store, study) -> None:
    if store.engine.dialect.name != "postgresql":
        pytest.skip("SQLite has no server")
    with pytest.raises(StoreError, match=r"terminating connection.*continue with `nas resume`"):
        _write_while_the_server_goes_away(store)
    study.new("a")


def _write_while_the_server_goes_away(store: Store) -> None:
    with store.transaction() as connection:
        mine = connection.execute(text("SELECT pg_backend_pid()")).scalar_one()
        with store.engine.connect() as other:
            other.execute(text(f"SELECT pg_terminate_backend({mine}, 5000)"))
        connection.execute(text("SELECT 1"))
