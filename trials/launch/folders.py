"""The folders of a study: artifacts in the root that its plan names, checkpoints on this machine.

Artifacts and checkpoints are in separate trees. In each, a study's folder is
``<identity of the database>/<id of the study>``, so no study's name and no other database can lead into it.
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
    """The folders of one study, and the test whether a file belongs to it."""

    store: Store
    row: Study

    @property
    def root(self) -> str:
        """Root of all files: from the plan, or a folder beside the database; a URI or an absolute path."""
        root = self.row.plan.get("artifacts", {}).get("root") or str(self.store.folder / "nas_artifacts")
        return root if "://" in root else str(Path(root).expanduser().resolve())  # workers run in other folders

    @property
    def key(self) -> str:
        """The study's folder in each tree: ``<identity of the database>/<id of the study>``."""
        return f"{self.store.identity.key}/{self.row.id}"

    @property
    def artifacts(self) -> str:
        """The folder of the study's artifacts: a URI or a path."""
        return f"{self.root}/{ARTIFACTS}/{self.key}"

    @property
    def checkpoints(self) -> Path:
        """The folder of the study's checkpoints."""
        return self._local / "checkpoints" / self.key

    @property
    def final_checkpoints(self) -> Path:
        """The folder of the checkpoints of final trainings, which outlive the study."""
        return self._local / "final_training" / self.key

    @property
    def _local(self) -> Path:
        """The root if it is a local folder, else a folder in the user's cache."""
        return Path.home() / ".cache" / "measured-nas" if "://" in self.root else Path(self.root)

    @property
    def is_by_name(self) -> bool:
        """Whether the study is so old that its folder may be named by the study's name instead of its id."""
        before = self.store.identity.named_before
        return before is not None and self.row.created_at < before and name_problem(self.row.name) is None

    def adopt_checkpoints(self) -> None:
        """Copy the checkpoints from a folder named by the study's name, so that its trainings continue from them.

        Another database may use the old folder, too, so it is only read; each checkpoint records what it belongs to.
        """
        old = self._local / "work" / self.row.name
        if self.is_by_name and old.is_dir() and not self.checkpoints.exists():
            shutil.copytree(old, self.checkpoints, symlinks=True)

    def owns(self, uri: str) -> bool:
        """Whether a file is in the study's own folder, under any root.

        If the study's folder is named by its name, a file belongs to it if no database beside this one lists the file.
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
        """Remove the folder of the study's artifacts, including files of aborted jobs.

        Raises:
            StoreError: the folder can't be reached or removed.
        """
        if "://" in self.root or not _leaves(Path(self.artifacts), 3):
            ArtifactStore(self.artifacts).delete_all()


def _leaves(folder: Path, depth: int) -> bool:
    """Whether symbolic links change the last ``depth`` parts of a folder's path."""
    return folder.resolve().parts[-depth:] != folder.parts[-depth:]
