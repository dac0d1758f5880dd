"""Removes files of studies: by their retention, or with the study. Only files in the study's own folder are removed."""

from __future__ import annotations

import logging
import shutil
from collections.abc import Callable, Sequence
from functools import partial

from nas.errors import StoreError
from trials.launch.folders import StudyFolders
from trials.plans.retention import RETENTIONS
from trials.store.artifacts import ArtifactStore
from trials.store.read.history import kept_artifacts
from trials.store.read.rows import study_row
from trials.store.records import ENDED, KeptArtifact
from trials.store.store import Store
from trials.store.write.outcomes import mark_deleted

log = logging.getLogger(__name__)


def collect(store: Store, name: str) -> tuple[int, int]:
    """Delete files that the study's retention does not keep; return the number of files and bytes. Rows are kept.

    The checkpoints of an ended study are deleted, too.
    """
    row = store.read(study_row, name)
    if row.state in ENDED:
        shutil.rmtree(StudyFolders(store, row).checkpoints, ignore_errors=True)
    kept = RETENTIONS[row.plan.get("artifacts", {}).get("retention", "front")].kept(store, name)
    if kept is None:
        return 0, 0
    doomed = [item for item in store.read(kept_artifacts, name) if item.candidate_number not in kept]
    own = _own(StudyFolders(store, row), doomed)
    for item in own:
        ArtifactStore("").delete(item.uri)
        store.write(mark_deleted, item.artifact_id)
    return len(own), sum(item.size_bytes for item in own)


def delete(store: Store, name: str) -> int:
    """Remove a study with all its files and checkpoints, and return the number of files.

    Raises:
        StoreError: the study is removed, but some of its files could not be removed.
    """
    folders = StudyFolders(store, store.read(study_row, name))
    own = _own(folders, store.read(kept_artifacts, name))
    store.delete_study(name)
    for folder in (folders.checkpoints, folders.final_checkpoints):
        shutil.rmtree(folder, ignore_errors=True)
    removals: list[Callable[[], None]] = [partial(ArtifactStore("").delete, item.uri) for item in own]
    left = []
    for remove in [*removals, folders.remove_artifacts]:
        try:
            remove()
        except StoreError as error:
            left.append(str(error))
    if left:
        raise StoreError(
            f"study {name!r} is removed, but these of its files could not be; remove them by hand:\n" + "\n".join(left)
        )
    return len(own)


def _own(folders: StudyFolders, files: Sequence[KeptArtifact]) -> list[KeptArtifact]:
    """Return the files in the study's own folder, and log a warning about the others, which are kept."""
    own = [item for item in files if folders.owns(item.uri)]
    if len(own) < len(files):
        first = next(item.uri for item in files if item not in own)
        log.warning(
            "%d files of study %r are not in its own folder, so they are kept; the first is %s",
            len(files) - len(own),
            folders.row.name,
            first,
        )
    return own
