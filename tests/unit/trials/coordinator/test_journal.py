"""A round is written as a whole, under the lease, and before workers get their jobs."""

from __future__ import annotations

import pytest

from nas.errors import StudyError
from nas.strategies import Suggestion
from tests.unit.trials.coordinator.under_way import UnderWay
from trials.coordinator.pipeline import OpenTrial, TrialJob
from trials.store.models import Candidate, JobRow, Metric, SuggestionRow
from trials.store.records import ArchitectureValue, JobResult, MetricValue
from trials.store.write.leases import acquire_lease, release_lease

GATE, TRAIN = ("gate", "local"), ("train", "")
SIZE = MetricValue("size_bytes", "", 5.0)


def first_job(under_way: UnderWay, identity: str, number: int, *, start: bool = True) -> TrialJob:
    """The first job of a new candidate, which the present round proposes."""
    job = TrialJob(OpenTrial(0, number, identity, {"choices": {}}), GATE)
    suggestion = Suggestion(number, (), {})
    architecture = ArchitectureValue(identity, "plain_convnet", {"choices": {}}, 1, 1, [])
    under_way.context.store.propose(suggestion, architecture, GATE, job)
    if start:
        under_way.context.store.start(job)
    return job


def jobs(under_way: UnderWay) -> list[tuple[int, str, str, int]]:
    return [(row.id, row.kind, row.state, row.attempt) for row in under_way.rows(JobRow)]


def test_nothing_is_written_before_the_round(under_way: UnderWay) -> None:
    journal, called = under_way.context.store, list[str]()
    job = first_job(under_way, "a", 0)
    journal.afterwards(lambda: called.append("written"))
    assert (jobs(under_way), called, job.job_id) == ([], [], 0)
    journal.flush()
    assert jobs(under_way) == [(job.job_id, "gate", "running", 1)]
    assert (job.attempt, called) == (1, ["written"])
    assert [(row.id, row.state) for row in under_way.rows(Candidate)] == [(job.trial.candidate_id, "running")]


def test_a_round_commits_a_job_and_starts_the_next_one(under_way: UnderWay) -> None:
    journal = under_way.context.store
    job, waiting = first_job(under_way, "a", 0), first_job(under_way, "b", 1, start=False)
    journal.flush()
    training = TrialJob(job.trial, TRAIN)
    journal.commit(job, JobResult({}, [SIZE], next_jobs=[TRAIN]), [training], {"wall_s": 2.0})
    journal.start(training)
    journal.start(waiting)
    journal.flush()
    assert jobs(under_way) == [
        (job.job_id, "gate", "done", 1),
        (waiting.job_id, "gate", "running", 1),
        (training.job_id, "train", "running", 1),
    ]
    assert (training.attempt, waiting.attempt) == (1, 1)


def test_what_reads_or_writes_finds_the_round_written(under_way: UnderWay) -> None:
    journal = under_way.context.store
    first_job(under_way, "a", 0)
    assert journal.read(lambda connection: len(connection.execute(Candidate.__table__.select()).all())) == 1
    first_job(under_way, "b", 1)
    assert journal.write(lambda connection: len(connection.execute(Candidate.__table__.select()).all())) == 2


def test_a_coordinator_that_lost_its_lease_writes_no_part_of_a_round(under_way: UnderWay) -> None:
    journal, lease = under_way.context.store, under_way.context.assignment.lease
    job = first_job(under_way, "a", 0)
    journal.flush()
    under_way.store.write(release_lease, lease, "interrupted", {})
    under_way.store.write(acquire_lease, lease.study_id, "elsewhere:1:1", 60)
    before = jobs(under_way)
    for totals in ({"wall_s": 1.0}, {}):
        journal.commit(job, JobResult({}, [SIZE]), [], totals)
        first_job(under_way, "b", 1)
        with pytest.raises(StudyError, match="another coordinator took over"):
            journal.flush()
        journal.flush()
        first_job(under_way, "c", 2)
        with pytest.raises(StudyError, match="another coordinator took over"):
            journal.flush()
    assert jobs(under_way) == before
    assert [len(under_way.rows(model)) for model in (Candidate, SuggestionRow, Metric)] == [1, 1, 0]


def test_one_change_that_is_stored_already_takes_the_others_back(under_way: UnderWay) -> None:
    journal = under_way.context.store
    job = first_job(under_way, "a", 0)
    journal.flush()
    journal.commit(job, JobResult({}), [], {})
    journal.flush()
    first_job(under_way, "b", 1)
    journal.commit(job, JobResult({}), [], {})
    with pytest.raises(StudyError, match=f"attempt 1 of job {job.job_id} is stored already"):
        journal.flush()
    first_job(under_way, "a", 1)
    with pytest.raises(StudyError, match="suggestion 1 is stored already"):
        journal.flush()
    assert len(under_way.rows(Candidate)) == 1
