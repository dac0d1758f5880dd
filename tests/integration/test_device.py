"""A study on this machine and two devices under quotas; one is killed during a measurement and started again."""

from __future__ import annotations

import os
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from nas.latency.protocol.intervals import derive
from nas.latency.protocol.samples import Samples
from nas.latency.targets import TargetSpec
from tests.integration.agents import Agent, running_agent
from tests.integration.forks import nas, nas_fork
from trials.store.models import Candidate, JobRow, Measurement, Target
from trials.store.store import Store
from trials.store.write.targets import add_target

GROUPS = Path("/sys/fs/cgroup")
PERIOD_US = 100_000


@contextmanager
def quota(name: str, share: float) -> Iterator[Callable[[int], None]]:
    """Limits processes to a share of a core; does nothing without the right to create control groups."""
    version_1 = (GROUPS / "cpu" / "cpu.cfs_quota_us").exists()
    group = (GROUPS / "cpu" if version_1 else GROUPS) / f"{name}-{os.getpid()}"
    try:
        group.mkdir()
    except OSError:
        yield lambda pid: None
        return

    def limit(pid: int) -> None:
        with suppress(OSError):  # this controller is managed elsewhere
            (group / ("cpu.cfs_quota_us" if version_1 else "cpu.max")).write_text(f"{share * PERIOD_US:.0f}")
            (group / "cgroup.procs").write_text(str(pid))

    try:
        yield limit
    finally:
        deadline = time.monotonic() + 20
        while group.exists() and time.monotonic() < deadline:
            with suppress(OSError):  # measuring processes end shortly after their agent
                group.rmdir()
            time.sleep(0.05)


def wait_for_gate(store: Store, target: str) -> None:
    """Wait until the first candidate is being measured on the device."""
    running = select(JobRow.id).where(JobRow.kind == "gate", JobRow.target == target, JobRow.state == "running")
    deadline = time.monotonic() + 200
    while True:
        with Session(store.engine) as session:
            if session.scalar(running) is not None:
                return
        assert time.monotonic() < deadline, "no candidate was started"
        time.sleep(0.02)


def add_device(store: Store, name: str, agent: Agent, calibrated: dict[str, Any]) -> None:
    spec = TargetSpec(name, address=agent.address, token_file=str(agent.token_file))
    store.write(add_target, name, {**calibrated, "spec": spec.to_json()}, calibrated["references"])


def test_an_agent_killed_in_mid_measurement_loses_and_doubles_nothing(
    plan: Callable[..., Path], url: str, calibrated: dict[str, Any], tmp_path: Path
) -> None:
    names = ["local", "most", "half"]
    path = plan(
        task={"name": "digits", "image_size": 8},
        objectives={"accuracy": "maximize", **{f"latency_ms@{name}": "minimize" for name in names}},
        targets=[{"name": name} for name in names],
        policies=[],
        estimator={"name": "training", "epochs": 1},
        measure={"precision": 0.001, "budget_s": 0.5, "audit": 0.0, "canary_every": 0},
    )
    for name in names[1:]:
        (tmp_path / name).mkdir()
    with (
        quota("most", 0.8) as most,
        quota("half", 0.5) as half,
        running_agent(tmp_path / "most") as first,
        running_agent(tmp_path / "half") as second,
    ):
        most(first.pid)
        half(second.pid)
        add_device(Store(url), "most", first, calibrated)
        add_device(Store(url), "half", second, calibrated)
        study = nas_fork("search", str(path), "--storage", url)
        wait_for_gate(Store(url), "most")  # canaries are measured before the first gate
        first.wait_until("working")
        first.kill()
        first.start()
        most(first.pid)
        done = study.finish()
        assert done.returncode == 0, done.stderr
        assert "The candidate did not cause this; trying again" in done.stderr
        listed = nas("targets", "list", "--storage", url).stdout
        assert first.address in listed
        assert second.address in listed
    check_jobs(url)
    check_measurements(url, names)


def check_jobs(url: str) -> None:
    """All jobs are done, and the lost attempt is recorded as the only other attempt."""
    with Session(Store(url).engine) as session:
        assert [row.state for row in session.scalars(select(Candidate))] == ["complete"] * 2
        jobs = list(session.scalars(select(JobRow)))
    assert {job.state for job in jobs} == {"done"}
    assert [(job.kind, job.target, job.attempt) for job in jobs if job.attempt != 1] == [("gate", "most", 2)]


def check_measurements(url: str, names: list[str]) -> None:
    """Each candidate has one measurement on each target, from which its latency follows."""
    with Session(Store(url).engine) as session:
        candidates = list(session.scalars(select(Candidate)))
        rows = list(session.scalars(select(Measurement)))
        targets = {row.id: row.name for row in session.scalars(select(Target))}
        taken = Counter((row.candidate_id, targets[row.target_id]) for row in rows)
        assert taken == Counter((row.id, name) for row in candidates for name in names)
        for row in rows:
            assert row.conditions["target"] == targets[row.target_id]
            assert row.trust == "unverified"
            found = derive(Samples.from_bytes(row.samples), row.conditions["reference_ms"])
            assert found[0] == row.latency_ms
        for row in candidates:
            measured = {targets[item.target_id]: item.latency_ms for item in rows if item.candidate_id == row.id}
            assert {item.target: item.value for item in row.metrics if item.name == "latency_ms"} == measured
