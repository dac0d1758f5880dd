"""Checks of a study after its faults, by statements of their own."""

from __future__ import annotations

import hashlib
from pathlib import Path

from chaos_parts.places import Place, wait

#: What is wrong → number of cases.
WRONG = {
    "candidates not complete": "SELECT count(*) FROM candidates WHERE state <> 'complete' OR finished_at IS NULL",
    "candidates with the network of another": "SELECT count(*) - count(DISTINCT architecture_id) FROM candidates",
    "gaps in the numbers of candidates": "SELECT max(number) + 1 - count(*) FROM candidates",
    "gaps in the numbers of suggestions": "SELECT max(number) + 1 - count(*) FROM suggestions",
    "jobs not done": "SELECT count(*) FROM jobs WHERE state <> 'done' OR result IS NULL OR finished_at IS NULL",
    "jobs stored twice": "SELECT count(*) FROM "
    "(SELECT 1 FROM jobs GROUP BY candidate_id, kind, target HAVING count(*) > 1) AS found",
    "candidates without a training": "SELECT count(*) FROM candidates WHERE NOT EXISTS "
    "(SELECT 1 FROM jobs WHERE jobs.candidate_id = candidates.id AND kind = 'train')",
    "candidates without accuracy and latency": "SELECT count(*) FROM candidates WHERE (SELECT count(*) FROM metrics "
    "WHERE metrics.candidate_id = candidates.id AND name IN ('accuracy', 'latency_ms')) <> 2",
    "gates without exactly one measurement": "SELECT count(*) FROM candidates WHERE (SELECT count(*) FROM measurements "
    "WHERE measurements.candidate_id = candidates.id AND purpose = 'gate' AND length(samples) > 0) <> 1",
    "candidates without a file": "SELECT count(*) FROM candidates WHERE NOT EXISTS "
    "(SELECT 1 FROM artifacts WHERE artifacts.candidate_id = candidates.id)",
    "studies that have not ended, or are still leased": "SELECT count(*) FROM studies "
    "WHERE state <> 'complete' OR lease_owner IS NOT NULL OR request IS NOT NULL",
}


def found_wrong(place: Place) -> list[str]:
    """Return the problems of a study that has ended."""
    place.end_agent()
    queries = {
        **WRONG,
        f"candidates more or less than {place.trials}": f"SELECT count(*) - {place.trials} FROM candidates",
        f"candidates without {place.epochs} epochs": "SELECT count(*) FROM candidates WHERE (SELECT count(*) "
        f"FROM epochs WHERE epochs.candidate_id = candidates.id) <> {place.epochs}",
    }
    counts = {what: place.number(query) for what, query in queries.items()}
    wrong = [f"{count} {what}" for what, count in counts.items() if count]
    reasons = place.rows("SELECT DISTINCT state, reason FROM candidates WHERE state <> 'complete'")
    return wrong + [f"{state}: {reason}" for state, reason in reasons] + _wrong_files(place) + _left(place)


def _wrong_files(place: Place) -> list[str]:
    wrong = []
    for uri, sha256 in place.rows("SELECT uri, sha256 FROM artifacts"):
        path = Path(uri.removeprefix("file://"))
        if not path.is_file() or hashlib.sha256(path.read_bytes()).hexdigest() != sha256:
            wrong.append(f"artifact {path.name} is missing or was changed")
    return wrong + [f"{path.name} is left of a file" for path in place.artifacts.rglob("*.partial")]


def _left(place: Place) -> list[str]:
    gone = wait(lambda: not place.left, 70)
    folders = [str(path.relative_to(place.temporary)) for path in place.temporary.rglob("nas-*")]
    return ([] if gone else ["processes are still running"]) + (
        [f"temporary folders are left: {', '.join(folders)}"] if folders else []
    )
