"""A study on a device's agent, which is killed in mid-measurement and started again."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from nas.latency.intervals import derive
from nas.latency.samples import Samples
from nas.latency.targets import TargetSpec
from tests.integration.agents import running_agent
from tests.integration.forks import nas, nas_fork
from trials.store.models import Candidate, JobRow, Measurement
from trials.store.store import Store


def wait_for_gate(store: Store) -> None:
    """Until the first candidate is being deployed and measured."""
    running = select(JobRow.id).where(JobRow.kind == "gate", JobRow.state == "running")
    deadline = time.monotonic() + 200
    while True:
        with Session(store.engine) as session:
            if session.scalar(running) is not None:
                return
        assert time.monotonic() < deadline, "no candidate was begun"
        time.sleep(0.02)


def test_an_agent_killed_in_mid_measurement_loses_and_doubles_nothing(
    plan: Callable[..., Path], url: str, calibrated: dict[str, Any], tmp_path: Path
) -> None:
    with running_agent(tmp_path) as agent:
        spec = TargetSpec("device", address=agent.address, token_file=str(agent.token_file))
        Store(url).add_target("device", {**calibrated, "spec": spec.to_json()}, calibrated["references"])
        path = plan(
            task={"name": "digits", "image_size": 8},
            targets=[{"name": "device"}],
            policies=[],
            estimator={"name": "training", "epochs": 1},
            measure={"precision": 0.001, "budget_s": 2, "audit": 1.0},
        )
        study = nas_fork("search", str(path), "--storage", url)
        wait_for_gate(Store(url))  # looks at the device's health come before it
        agent.wait_until("working")
        agent.kill()
        agent.start()
        done = study.finish()
        assert done.returncode == 0, done.stderr
        assert "taken up again" in done.stderr
        listed = nas("targets", "list", "--storage", url).stdout
        assert agent.address in listed
    with Session(Store(url).engine) as session:
        assert {row.state for row in session.scalars(select(Candidate))} == {"complete"}
        jobs = list(session.scalars(select(JobRow).order_by(JobRow.id)))
        assert {job.state for job in jobs} == {"done"}
        assert [job.attempt for job in jobs if job.kind == "gate"] == [2, 1]
        rows = list(session.scalars(select(Measurement)))
        assert len(rows) == sum(job.kind in ("gate", "measure") for job in jobs) == 4
        for row in rows:
            assert row.conditions["runtime"] == "onnxruntime"
            found = derive(Samples.from_bytes(row.samples), row.conditions["reference_ms"])
            assert found[0] == row.latency_ms
