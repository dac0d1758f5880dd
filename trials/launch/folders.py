"""Where a study's files are: artifacts where its plan says, checkpoints on this machine.

Both are separate trees. In each, a study's folder is ``<identity of the database>/<id of the study>``: neither a name
nor another database can lead into it.
"""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

from trials.store.artifacts import ARTIFACTS, ArtifactStore
from trials.store.models import Study
from trials.store.naming import name_problem
from trials.store.siblings import is_listed_beside
from trials.store.store import Store


@dataclass(frozen=True)
class StudyFolders:
    """The folders of one study, and which files are its own."""

    store: Store
    row: Study

    @property
    def root(self) -> str:
        """Root of all files: what the plan says, or a folder beside the database; a URI, or an absolute path."""
        root = self.row.plan.get("artifacts", {}).get("root") or str(self.store.folder / "nas_artifacts")
        return root if "://" in root else str(Path(root).expanduser().resolve())  # workers run in other folders

    @property
    def key(self) -> str:
        """``<identity>/<id>``."""
        return f"{self.store.identity.key}/{self.row.id}"

    @property
    def artifacts(self) -> str:
        """The folder of its artifacts: a URI or a path."""
        return f"{self.root}/{ARTIFACTS}/{self.key}"

    @property
    def checkpoints(self) -> Path:
        """The folder of its checkpoints."""
        return self._local / "checkpoints" / self.key

    @property
    def _local(self) -> Path:
        """A local root itself, else the user's cache."""
        return Path.home() / ".cache" / "measured-nas" if "://" in self.root else Path(self.root)

    @property
    def is_by_name(self) -> bool:
        """Whether the study is from before studies had folders by id, and its name could be that of a folder."""
        before = self.store.identity.named_before
        return before is not None and self.row.created_at < before and name_problem(self.row.name) is None

    def adopt_checkpoints(self) -> None:
        """Copy the checkpoints of a study whose folder was by name, so that its trainings go on from them.

        The folder may be another database's as well, so it is only read; each checkpoint says what it is of.
        """
        old = self._local / "work" / self.row.name
        if self.is_by_name and old.is_dir() and not self.checkpoints.exists():
            shutil.copytree(old, self.checkpoints, symlinks=True)

    def owns(self, uri: str) -> bool:
        """Whether a file is in the study's own folder, under whatever root.

        A file of a study whose folder was by name is its own if no database beside this one lists it too.
        """
        scheme, is_uri, rest = uri.rpartition("://")
        parts = rest.split("/")
        if any(part in ("", ".", "..") for part in parts[1:]):
            return False
        if parts[-5:-2] == [ARTIFACTS, *self.key.split("/")]:
            depth = 4
        elif self.is_by_name and parts[-3:-2] == [self.row.name] and not is_listed_beside(self.store, uri):
            depth = 2
        else:
            return False
        return (is_uri and scheme not in ("file", "local")) or not _leaves(Path(rest).parent, depth)

    def remove_artifacts(self) -> None:
        """Remove the folder of its artifacts, with the files of jobs that were given up.

        Raises:
            StoreError: it can't be reached, or not removed.
        """
        if "://" in self.root or not _leaves(Path(self.artifacts), 3):
            ArtifactStore(self.artifacts).delete_all()


def _leaves(folder: Path, depth: int) -> bool:
    """Whether links lead a folder away from its last ``depth`` parents."""
    return folder.resolve().parts[-depth:] != folder.parts[-depth:]
