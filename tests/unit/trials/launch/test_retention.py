"""gc and delete remove files in the study's own folder and nothing else, whatever the database lists."""

from __future__ import annotations

import shutil
import sqlite3
from pathlib import Path

import pytest
from sqlalchemy import update

from trials.launch.folders import StudyFolders
from trials.launch.retention import collect, delete
from trials.plans.retention import RETENTIONS
from trials.store.artifacts import ArtifactStore
from trials.store.models import Study
from trials.store.read.rows import study_row
from trials.store.records import ArchitectureValue, ArtifactValue, JobResult, MetricValue, Proposed, Suggestion
from trials.store.store import Store
from trials.store.write.jobs import commit_job, start_job
from trials.store.write.leases import acquire_lease, release_lease
from trials.store.write.proposals import propose
from trials.store.write.studies import create_study


def new_store(folder: Path, name: str = "nas.db") -> Store:
    return Store(f"sqlite:///{folder / name}")


def add_study(store: Store, name: str, *uris: str, retention: str = "none") -> StudyFolders:
    """A finished study with one candidate per URI."""
    columns = {"limits": {}, "objectives": {"accuracy": "maximize"}, "environment": {}, "seed": 0}
    plan = {"name": name, "artifacts": {"root": None, "retention": retention}}
    study_id = store.write(create_study, name=name, group=name, role="search", plan=plan, **columns)
    lease = store.write(acquire_lease, study_id, "elsewhere:1:1", 60)
    for number, uri in enumerate(uris):
        network = ArchitectureValue(f"{name}{number}", "plain", {}, 1, 1, [])
        proposed = store.write(propose, lease, Suggestion(number, (), {}), network, ("train", ""))
        assert isinstance(proposed, Proposed)
        attempt = store.write(start_job, lease, proposed.job_id)
        done = JobResult(
            {},
            metrics=[MetricValue("accuracy", "", number / 10)],
            artifacts=[ArtifactValue("onnx", uri, "0" * 64, 3)],
            candidate_state="complete",
        )
        store.write(commit_job, proposed.job_id, attempt, done)
    store.write(release_lease, lease, "complete", {})
    return StudyFolders(store, store.read(study_row, name))


def put(folders: StudyFolders, tmp_path: Path, number: int = 0) -> Path:
    """Write a file into a study's own folder."""
    (tmp_path / "model.onnx").write_bytes(b"new")
    return Path(ArtifactStore(folders.artifacts).put(tmp_path / "model.onnx", number, "onnx").uri)


def list_file(store: Store, folders: StudyFolders, uri: str, number: int = 0) -> None:
    """Make the database list a file of a candidate."""
    with sqlite3.connect(store.engine.url.database or "") as connection:
        connection.execute(
            "UPDATE artifacts SET uri = ? WHERE candidate_id IN "
            "(SELECT id FROM candidates WHERE study_id = ? AND number = ?)",
            (uri, folders.row.id, number),
        )
    connection.close()


def old_layout(store: Store, name: str) -> Path:
    """A file at its place in older versions, of a study without a folder named by its id."""
    with sqlite3.connect(store.engine.url.database or "") as connection:
        connection.execute("UPDATE studies SET created_at = '2020-01-01 00:00:00.000000' WHERE name = ?", (name,))
    connection.close()
    file = store.folder / "nas_artifacts" / name / "0" / "onnx-0000000000000000.onnx"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(b"old")
    return file


@pytest.mark.parametrize("verb", [collect, delete])
def test_a_studys_own_files_are_removed(verb, tmp_path: Path) -> None:
    store = new_store(tmp_path)
    folders, other = add_study(store, "a", "?"), add_study(store, "b", "?")
    file, kept = put(folders, tmp_path), put(other, tmp_path)
    list_file(store, folders, str(file))
    verb(store, "a")
    assert not file.exists()
    assert kept.exists()


@pytest.mark.parametrize("verb", [collect, delete])
@pytest.mark.parametrize(
    "uri",
    [
        "{outside}",
        "file://{outside}",
        "{own}/0/../../../../../precious/0/onnx-0000000000000000.onnx",
        "{own}/../2/0/onnx-0000000000000000.onnx",
        "{root}/artifacts/{other}/1/0/onnx-0000000000000000.onnx",
        "{root}/a/0/onnx-0000000000000000.onnx",
        "{own}/link/onnx-0000000000000000.onnx",
        "file://{own}/link/onnx-0000000000000000.onnx",
    ],
)
def test_nothing_outside_a_studys_own_folder_is_removed(
    verb, uri: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    store = new_store(tmp_path)
    folders = add_study(store, "a", "?")
    outside = tmp_path / "precious" / "0" / "onnx-0000000000000000.onnx"
    other = "f" * 32
    places = [outside, Path(folders.root) / "artifacts" / other / "1/0" / outside.name]
    places += [Path(folders.root) / "a" / "0" / outside.name]
    places += [Path(folders.artifacts).parent / "2" / "0" / outside.name]
    for place in places:
        place.parent.mkdir(parents=True)
        place.write_bytes(b"precious")
    Path(folders.artifacts).mkdir(parents=True)
    (Path(folders.artifacts) / "link").symlink_to(outside.parent)
    list_file(store, folders, uri.format(outside=outside, own=folders.artifacts, root=folders.root, other=other))
    verb(store, "a")
    assert all(place.read_bytes() == b"precious" for place in places)
    assert "so they are kept" in caplog.text


def test_a_folder_that_is_a_link_is_not_emptied(tmp_path: Path) -> None:
    store = new_store(tmp_path)
    folders = add_study(store, "a")
    (tmp_path / "precious").mkdir()
    (tmp_path / "precious" / "file").write_text("precious")
    Path(folders.artifacts).parent.mkdir(parents=True)
    Path(folders.artifacts).symlink_to(tmp_path / "precious")
    delete(store, "a")
    assert (tmp_path / "precious" / "file").exists()


@pytest.mark.parametrize("retention", RETENTIONS)
def test_a_rule_removes_the_files_of_the_trials_that_it_does_not_keep(retention: str, tmp_path: Path) -> None:
    store = new_store(tmp_path)
    folders = add_study(store, "a", "?", "?", "?", retention=retention)
    files = {number: put(folders, tmp_path, number) for number in range(3)}
    for number, file in files.items():
        list_file(store, folders, str(file), number)
    kept = RETENTIONS[retention].kept(store, "a")
    collect(store, "a")
    assert {number for number, file in files.items() if file.exists()} == ({0, 1, 2} if kept is None else kept)
    assert {"all": kept is None, "front": kept == {2}, "none": kept == set()}.get(retention, True)


def test_checkpoints_that_an_ended_study_left_are_removed(tmp_path: Path) -> None:
    store = new_store(tmp_path)
    ended, interrupted = add_study(store, "a"), add_study(store, "b")
    lease = store.write(acquire_lease, interrupted.row.id, "elsewhere:1:1", 60)
    store.write(release_lease, lease, "interrupted", {})
    for folders in (ended, interrupted):
        folders.checkpoints.mkdir(parents=True)
        collect(store, folders.row.name)
    assert not ended.checkpoints.exists()
    assert interrupted.checkpoints.exists()


def test_with_the_front_the_original_is_kept(tmp_path: Path) -> None:
    store = new_store(tmp_path)
    add_study(store, "a", "?", "?", "?", retention="front")
    with store.transaction() as connection:
        connection.execute(update(Study).values(original=0))
    assert RETENTIONS["front"].kept(store, "a") == {0, 2}


@pytest.mark.parametrize("verb", [collect, delete])
def test_files_of_a_study_of_a_former_version_are_removed(verb, tmp_path: Path) -> None:
    store = new_store(tmp_path)
    folders = add_study(store, "work", "?")
    file = old_layout(store, "work")
    list_file(store, folders, str(file))
    verb(store, "work")
    assert not file.exists()


@pytest.mark.parametrize("verb", [collect, delete])
def test_files_that_another_database_beside_lists_stay(verb, tmp_path: Path) -> None:
    stores = [new_store(tmp_path, name) for name in ("a.db", "b.db")]
    for store in stores:
        folders = add_study(store, "study", "?")
        file = old_layout(store, "study")
        list_file(store, folders, str(file))
    verb(stores[0], "study")
    assert file.exists()


@pytest.mark.parametrize("verb", [collect, delete])
def test_a_copy_of_a_database_removes_no_file_of_its_original(verb, tmp_path: Path) -> None:
    store = new_store(tmp_path)
    new, old = add_study(store, "new", "?"), add_study(store, "old", "?")
    files = [put(new, tmp_path), old_layout(store, "old")]
    for folders, file in zip((new, old), files, strict=True):
        list_file(store, folders, str(file))
    store.close()
    (tmp_path / "elsewhere").mkdir()
    shutil.copyfile(tmp_path / "nas.db", tmp_path / "elsewhere" / "nas.db")
    copy = new_store(tmp_path / "elsewhere")
    for name in ("new", "old"):
        verb(copy, name)
    assert all(file.exists() for file in files)
    assert verb(new_store(tmp_path), "new") in (1, (1, 3))


def test_checkpoints_of_a_former_version_are_taken_up_and_left(tmp_path: Path) -> None:
    store = new_store(tmp_path)
    add_study(store, "digits")
    old_layout(store, "digits")
    folders = StudyFolders(store, store.read(study_row, "digits"))
    old = Path(folders.root) / "work" / "digits" / "3"
    old.mkdir(parents=True)
    (old / "state").write_text("epoch 2")
    folders.adopt_checkpoints()
    assert (folders.checkpoints / "3" / "state").read_text() == "epoch 2"
    assert (old / "state").exists()
    newer = add_study(store, "digits-2")
    (Path(newer.root) / "work" / "digits-2").mkdir()
    newer.adopt_checkpoints()
    assert not newer.checkpoints.exists()


def test_files_at_a_remote_root_are_removed_with_their_folder(tmp_path: Path) -> None:
    store = new_store(tmp_path)
    folders = add_study(store, "a", "?")
    with sqlite3.connect(tmp_path / "nas.db") as connection:
        connection.execute("UPDATE studies SET plan = ?", ('{"artifacts": {"root": "memory://bucket"}}',))
    connection.close()
    folders = StudyFolders(store, store.read(study_row, "a"))
    (tmp_path / "model.onnx").write_bytes(b"new")
    stored = ArtifactStore(folders.artifacts).put(tmp_path / "model.onnx", 0, "onnx")
    list_file(store, folders, stored.uri)
    assert delete(store, "a") == 1
    with pytest.raises(Exception, match="does not exist any more"):
        ArtifactStore("").fetch(stored.uri, stored.sha256, tmp_path / "back")
    assert str(folders.checkpoints).endswith(f".cache/measured-nas/checkpoints/{store.identity.key}/1")
