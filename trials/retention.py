"""Which files of a study stay: all, those of the front, none."""

from __future__ import annotations

import shutil

from trials.folders import artifact_root, work_folder
from trials.plan import make_plan
from trials.store.artifacts import ArtifactStore
from trials.store.queries_points import front
from trials.store.store import Store


def collect(store: Store, name: str) -> tuple[int, int]:
    """Delete what the study's retention does not keep; files and bytes freed. The rows stay."""
    plan = make_plan(store.study_row(name).plan)
    retention = plan.artifacts.retention
    if retention == "all":
        return 0, 0
    keep = {int(number) for number in front(store, name).numbers} if retention == "front" else set()
    freed = 0
    doomed = [item for item in store.kept_artifacts(name) if item.candidate_number not in keep]
    for item in doomed:
        ArtifactStore("").delete(item.uri)
        store.mark_deleted(item.artifact_id)
        freed += item.size_bytes
    return len(doomed), freed


def delete(store: Store, name: str) -> int:
    """Remove a study with all its files and checkpoints; how many files."""
    files = store.kept_artifacts(name)
    checkpoints = work_folder(artifact_root(store, make_plan(store.study_row(name).plan)), name)
    store.delete_study(name)
    shutil.rmtree(checkpoints, ignore_errors=True)
    for item in files:
        ArtifactStore("").delete(item.uri)
    return len(files)
