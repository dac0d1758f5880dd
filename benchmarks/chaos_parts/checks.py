"""Checks of a study after a fault."""

from __future__ import annotations

import hashlib
from pathlib import Path

from chaos_parts.places import TRIALS, Place, wait
from chaos_parts.processes import of_folder


def found_wrong(place: Place) -> list[str]:
    """Return the problems of a study that has ended."""
    rows = place.rows("SELECT state, reason FROM candidates")
    candidates = [row[0] for row in rows]
    wrong = []
    if len(candidates) != TRIALS:
        wrong.append(f"{len(candidates)} of {TRIALS} candidates")
    if set(candidates) - {"complete"}:
        wrong.append("; ".join(f"{state}: {reason}" for state, reason in rows if state != "complete"))
    return wrong + _wrong_jobs(place) + _wrong_files(place) + _left(place)


def _wrong_jobs(place: Place) -> list[str]:
    open_jobs = place.rows("SELECT kind FROM jobs WHERE state <> 'done'")
    trainings = [row[0] for row in place.rows("SELECT candidate_id FROM jobs WHERE kind = 'train'")]
    wrong = [f"{len(open_jobs)} jobs not done"] if open_jobs else []
    return wrong + (["a candidate was trained twice"] if len(set(trainings)) != len(trainings) else [])


def _wrong_files(place: Place) -> list[str]:
    wrong = []
    for uri, sha256 in place.rows("SELECT uri, sha256 FROM artifacts"):
        path = Path(uri.removeprefix("file://"))
        if not path.is_file() or hashlib.sha256(path.read_bytes()).hexdigest() != sha256:
            wrong.append(f"artifact {path.name} is missing or was changed")
    return wrong


def _left(place: Place) -> list[str]:
    gone = wait(lambda: not of_folder(place.temporary), 70)
    folders = [path.name for path in place.temporary.glob("nas-*")]
    return ([] if gone else ["processes are still running"]) + (
        [f"temporary folders are left: {', '.join(folders)}"] if folders else []
    )
