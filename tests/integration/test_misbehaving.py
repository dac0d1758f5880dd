"""In a study of misbehaving candidates, each fails for its own reason, and the good one is complete."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session

from tests.integration.forks import nas
from tests.integration.mine.misbehaving import WAYS
from trials.cli.app import ALL_FAILED
from trials.executors.processes import below, command_line
from trials.store.models import Candidate, Study
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


#: Limits of the way that hangs, which always reaches it, and of all others, which never do, even on a busy machine.
HANGS_MINUTES, OTHERS_MINUTES = 0.1, 10.0


@pytest.mark.parametrize("executor", ["local", pytest.param("ray_actors", marks=pytest.mark.slow)])
def test_each_candidate_fails_for_its_own_reason(executor: str, plan: Callable[..., Path], url: str) -> None:
    others = [way for way in WAYS if way != "hangs"]
    found = search(plan, url, "study", others, executor, OTHERS_MINUTES)
    found |= search(plan, url, "hanging", ["hangs"], executor, HANGS_MINUTES)
    assert found.pop("fine") == ("complete", "")
    assert {state for state, _ in found.values()} == {"failed"}
    for way, (_, reason) in found.items():
        assert REASONS[way].lower() in reason.lower(), found
    assert not any(command_line(pid).startswith("sleep 8639") for pid in below(1))
    told = nas("logs", "study", str(others.index("raises")), "--storage", url).stdout
    for part in (
        "train, attempt 1 started",
        "train, attempt 1 failed: ValueError: it raises on purpose",
        "train is failed after",
        f"trial {others.index('raises')} is failed: ValueError: it raises on purpose",
        "Traceback (most recent call last)",
        "misbehaving.py",
    ):
        assert part in told, told


def search(
    plan: Callable[..., Path], url: str, name: str, ways: Sequence[str], executor: str, max_minutes: float
) -> dict[str, tuple[str, str]]:
    """Run a study with these ways, and return each one's state and reason."""
    path = plan(
        name=name,
        task={"name": "misbehaving:Misled"},
        space={"name": "misbehaving:Misbehaving"},
        policies=[],
        strategy={"name": "given", "choices": [{"way": way} for way in ways]},
        estimator={"name": "training", "epochs": 1},
        executor=executor,
        resources={"train": {"max_minutes": max_minutes, "max_memory_mb": 1500}},
        budget={"trials": len(ways)},
    )
    done = nas("search", str(path), "--storage", url, check=False)
    assert done.returncode == (0 if "fine" in ways else ALL_FAILED), done.stdout + done.stderr
    query = select(Candidate).join(Study).where(Study.name == name).order_by(Candidate.number)
    with Session(Store(url).engine) as session:
        rows = list(session.scalars(query))
        return {way: (row.state, row.reason or "") for way, row in zip(ways, rows, strict=True)}
