"""In a study of misbehaving candidates, each fails for its own reason, and the good one is complete."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session

from tests.integration.forks import nas
from tests.integration.mine.misbehaving import WAYS
from trials.executors.processes import below, command_line
from trials.store.models import Candidate
from trials.store.store import Store

REASONS = {
    "raises": "ValueError: it raises on purpose",
    "nan": "nan",
    "eats": "MemoryLimit",
    "hangs": "TimeLimit",
    "exits": "exit code 7",
    "segfaults": "SIGSEGV",
    "leaves": "behind, which were killed",
}


@pytest.mark.parametrize(
    ("executor", "max_minutes"), [("local", 0.2), pytest.param("ray_actors", 0.5, marks=pytest.mark.slow)]
)
def test_each_candidate_fails_for_its_own_reason(
    executor: str, max_minutes: float, plan: Callable[..., Path], url: str
) -> None:
    path = plan(
        task={"name": "misbehaving:Misled"},
        space={"name": "misbehaving:Misbehaving"},
        policies=[],
        strategy={"name": "given", "choices": [{"way": way} for way in WAYS]},
        estimator={"name": "training", "epochs": 1},
        executor=executor,
        resources={"train": {"max_minutes": max_minutes, "max_memory_mb": 1500}},
        budget={"trials": len(WAYS)},
    )
    nas("search", str(path), "--storage", url)
    with Session(Store(url).engine) as session:
        rows = list(session.scalars(select(Candidate).order_by(Candidate.number)))
        found = {way: (row.state, row.reason or "") for way, row in zip(WAYS, rows, strict=True)}
    assert found.pop("fine") == ("complete", "")
    assert {state for state, _ in found.values()} == {"failed"}
    for way, (_, reason) in found.items():
        assert REASONS[way].lower() in reason.lower(), found
    assert not any(command_line(pid).startswith("sleep 8639") for pid in below(1))
    told = nas("logs", "study", str(WAYS.index("raises")), "--storage", url).stdout
    for part in (
        "train, attempt 1 started",
        "train, attempt 1 failed: ValueError: it raises on purpose",
        "train is failed after",
        f"trial {WAYS.index('raises')} is failed: ValueError: it raises on purpose",
        "Traceback (most recent call last)",
        "misbehaving.py",
    ):
        assert part in told, told
