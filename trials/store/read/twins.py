"""Read the dense twins that could not be measured: their jobs ended with an error and not with a latency."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, select

from trials.store.dialect import table
from trials.store.models import Candidate, JobRow

JOBS, CANDIDATES = table(JobRow), table(Candidate)
_ENDED = (
    select(JOBS.c.id, JOBS.c.candidate_id, JOBS.c.target, JOBS.c.result)
    .join(CANDIDATES, CANDIDATES.c.id == JOBS.c.candidate_id)
    .where(JOBS.c.kind == "twin", JOBS.c.state == "done")
    .order_by(JOBS.c.id)
)


def num_untimed_twins(connection: Connection, study_id: int) -> int:
    """How many twins of a study's complete candidates could not be measured."""
    return len(untimed_twins(connection, study_id))


def remarks(connection: Connection, candidate_ids: Sequence[int]) -> dict[int, tuple[str, ...]]:
    """Return candidate id → messages about its dense twins that have no latency."""
    found: dict[int, list[str]] = defaultdict(list)
    for row in connection.execute(_ENDED.where(JOBS.c.candidate_id.in_(candidate_ids))):
        if error := (row.result or {}).get("error"):
            found[row.candidate_id].append(f"dense twin not measured on {row.target}: {error.splitlines()[0]}")
    return {candidate_id: tuple(texts) for candidate_id, texts in found.items()}


def untimed_twins(connection: Connection, study_id: int) -> list[Any]:
    """The twin jobs of a study's complete candidates that ended without a latency."""
    rows = connection.execute(_ENDED.where(CANDIDATES.c.study_id == study_id, CANDIDATES.c.state == "complete"))
    return [row for row in rows if "error" in (row.result or {})]
