"""How a submitted job is followed, given what a job server reports."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from nas.errors import JobError
from trials.cli.commands.submitting import say_submitted
from trials.executors.cluster.job_server import JobReport, JobServer
from trials.launch.cluster import submitting
from trials.plans.plan import make_plan

STORAGE = "postgresql://nas@database/nas"


@pytest.fixture
def reports(monkeypatch: pytest.MonkeyPatch) -> list[JobReport]:
    """What the job server of a cluster, which these tests do not start, reports one after the other."""
    given: list[JobReport] = []

    def report(server: JobServer, job: str) -> JobReport:
        return given.pop(0)

    def submit(server: JobServer, command: str, *, job: str, folder: str, variables: Mapping[str, str]) -> None:
        assert variables == {"NAS_STORAGE": STORAGE}

    monkeypatch.setattr(JobServer, "__init__", lambda server, address: None)
    monkeypatch.setattr(JobServer, "report", report)
    monkeypatch.setattr(JobServer, "submit", submit)
    monkeypatch.setattr(submitting, "_POLL_S", 0.0)
    return given


@pytest.fixture
def plan() -> Any:
    return make_plan(
        {
            "name": "digits",
            "task": {"name": "digits"},
            "space": {"name": "plain_convnet"},
            "executor": "ray_actors",
            "artifacts": {"root": "/mnt/nas"},
        }
    )


def submitted(plan: Any) -> submitting.SubmittedJob:
    return submitting.submit(plan, storage=STORAGE, address="http://head:8265")


def test_a_study_that_has_begun_runs(plan: Any, reports: list[JobReport], capsys: pytest.CaptureFixture[str]) -> None:
    begun = "study digits · preparing: starting workers\nstudy digits · preparing: reading the data"
    reports += [JobReport("PENDING", "", ""), JobReport("RUNNING", "", begun)]
    job = submitted(plan)
    assert not job.has_ended
    say_submitted(job, "http://head:8265")
    assert "study digits runs on http://head:8265" in " ".join(capsys.readouterr().err.split())


def test_a_study_that_has_ended_does_not_run(
    plan: Any, reports: list[JobReport], capsys: pytest.CaptureFixture[str]
) -> None:
    log = "study digits: hypervolume 0.834\nstudy digits is in 'postgresql://nas@database/nas'; next: nas show · nas gc"
    reports += [JobReport("RUNNING", "", log), JobReport("SUCCEEDED", "", log)]  # Ray notices the end a moment later
    say_submitted(submitted(plan), "http://head:8265")
    assert "study digits has ended, so nothing runs on" in " ".join(capsys.readouterr().err.split())


def test_a_study_that_did_not_begin_says_why(plan: Any, reports: list[JobReport]) -> None:
    reports += [JobReport("FAILED", "", "starting\nerror: PlanError: no room")]
    with pytest.raises(JobError, match="'digits' did not begin on the cluster: PlanError: no room"):
        submitted(plan)


def test_what_a_job_warns_of_is_said_once(plan: Any, reports: list[JobReport]) -> None:
    away = "WARNING trials.store.database.waiting: 'postgresql://nas@database/nas' does not answer"
    begun = f"{away}\nstudy digits · preparing: starting workers\nstudy digits · phase searching · trials 0 of 3"
    reports += [JobReport("RUNNING", "", away), JobReport("RUNNING", "", away), JobReport("RUNNING", "", begun)]
    said: list[str] = []
    submitting.submit(plan, storage=STORAGE, address="http://head:8265", says=said.append)
    assert [text.partition(": ")[2] for text in said] == ["starting", away]
