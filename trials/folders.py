"""Where a study's files are: artifacts where its plan says, checkpoints on this machine."""

from __future__ import annotations

from pathlib import Path

from trials.plan import Plan
from trials.store.store import Store


def artifact_root(store: Store, plan: Plan) -> str:
    """Where files of a plan's studies go: what it says, or a folder beside the database."""
    root = plan.artifacts.root or str(store.folder / "nas_artifacts")
    return root if "://" in root else str(Path(root).resolve())  # workers run in other folders


def work_folder(root: str, study: str) -> Path:
    """Folder of a study's checkpoints: under a local artifact root, else in the user's cache."""
    if "://" not in root:
        return Path(root) / "work" / study
    return Path.home() / ".cache" / "measured-nas" / "work" / study
