import logging
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC

import pytest

from nas.errors import JobError, StoreError, StudyError
from nas.strategies import Suggestion
from trials.store.models import (
    Architecture,
    ArtifactRow,
    Candidate,
    EpochRow,
    JobRow,
    Measurement,
    Metric,
    SuggestionRow,
)
from trials.store.read.history import open_jobs
from trials.store.records import (
    AddedJob,
    ArchitectureValue,
    ArtifactValue,
    Duplicate,
    JobResult,
    MeasurementValue,
    MetricValue,
    Proposed,
)
from trials.store.write.jobs import (
    add_epochs,
    commit_job,
    fail_job,
    recover_jobs,
    requeue_job,
    start_job,
    stop_candidate,
)
from trials.store.write.proposals import propose

LATENCY = MeasurementValue("local", "gate", 1.0, 0.9, 1.1, "abc", {"threads": 1}, b"\0samples")
MODEL = ArtifactValue("onnx", "/somewhere/model.onnx", "f" * 64, 5_000_000_000, {"route": "fx"})


def test_candidates_are_numbered_within_their_study(study, other_study) -> None:
    assert [study.new(name).number for name in "abc"] == [0, 1, 2]
    assert [other_study.new(name).number for name in "ab"] == [0, 1]


def test_a_repeated_network_is_answered_not_run(study) -> None:
    first = study.new("a")
    study.new("b")
    assert study.propose("a") == Duplicate(first.candidate_id)
    assert (study.num(Candidate), study.num(JobRow)) == (2, 2)
    assert [(row.number, row.candidate_id, row.duplicate) for row in study.rows(SuggestionRow)] == [
        (0, first.candidate_id, False),
        (1, first.candidate_id + 1, False),
        (2, first.candidate_id, True),
    ]


def test_studies_share_architectures_but_not_candidates(study, other_study) -> None:
    ours, theirs = study.new("a"), other_study.new("a")
    assert ours.candidate_id != theirs.candidate_id
    assert study.num(Architecture) == 1


def test_studies_that_propose_one_network_at_once_share_it(store, study, other_study) -> None:
    """The second insert conflicts with a row that it can't see yet."""
    with ThreadPoolExecutor(1) as other:
        with store.transaction() as connection:
            network = ArchitectureValue("a", "plain", {}, 1, 1, [])
            propose(connection, study.lease, Suggestion(0, (), {}), network, ("gate", "local"))
            theirs = other.submit(other_study.propose, "a")
            with pytest.raises(TimeoutError):
                theirs.result(0.3)
        assert isinstance(theirs.result(30), Proposed)
    assert (study.num(Architecture), study.num(Candidate)) == (1, 2)


def test_a_job_starts_once(store, study) -> None:
    proposed, attempt = study.started("a")
    assert attempt == 1
    with pytest.raises(StudyError, match=f"job {proposed.job_id} is not queued"):
        store.write(start_job, study.lease, proposed.job_id)
    (job,), (candidate,) = study.rows(JobRow), study.rows(Candidate)
    assert (job.state, candidate.state) == ("running", "running")


def test_a_commit_writes_everything_and_queues_what_comes_next(store, study) -> None:
    proposed, attempt = study.started("a")
    added = store.write(
        commit_job,
        proposed.job_id,
        attempt,
        JobResult(
            {"structure_hash": "abc"},
            metrics=[MetricValue("latency_ms", "local", 1.0, 0.9, 1.1), MetricValue("size_bytes", "", 5e9)],
            measurements=[LATENCY],
            artifacts=[MODEL],
            next_jobs=[("train", ""), ("measure", "local")],
        ),
    )
    assert added == [AddedJob(proposed.job_id + 1, 0), AddedJob(proposed.job_id + 2, 0)]
    assert [(row.name, row.target, row.value, row.low, row.high) for row in study.rows(Metric)] == [
        ("latency_ms", "local", 1.0, 0.9, 1.1),
        ("size_bytes", "", 5e9, None, None),
    ]
    (measured,) = study.rows(Measurement)
    assert (measured.purpose, measured.conditions, measured.samples) == ("gate", {"threads": 1}, b"\0samples")
    (file,) = study.rows(ArtifactRow)
    assert (file.size_bytes, file.record, file.deleted_at) == (5_000_000_000, {"route": "fx"}, None)
    assert [(job.kind, job.state) for job in study.rows(JobRow)] == [
        ("gate", "done"),
        ("train", "queued"),
        ("measure", "queued"),
    ]
    assert study.rows(Candidate)[0].state == "running"


def test_a_final_commit_ends_the_candidate(store, study) -> None:
    proposed, attempt = study.started("a")
    result = JobResult({}, candidate_state="infeasible", reason="latency_ms 3 is over the limit 2")
    assert store.write(commit_job, proposed.job_id, attempt, result) == []
    (candidate,) = study.rows(Candidate)
    assert (candidate.state, candidate.reason) == ("infeasible", "latency_ms 3 is over the limit 2")
    assert candidate.finished_at >= candidate.created_at
    assert candidate.finished_at.tzinfo is UTC


@pytest.mark.parametrize("way", ["requeued", "recovered", "started again", "committed", "failed", "stopped"])
def test_an_attempt_that_is_over_writes_nothing(store, study, caplog, way: str) -> None:
    proposed, attempt = study.started("a")
    job = proposed.job_id
    if way == "recovered":
        assert store.write(recover_jobs, study.lease) == 1
    elif way == "committed":
        assert store.write(commit_job, job, attempt, JobResult({"first": True})) == []
    elif way == "failed":
        assert store.write(fail_job, job, attempt, "ValueError: no", "Traceback …")
    elif way == "stopped":
        store.write(stop_candidate, study.lease, proposed.number, "the budget is spent")
    else:
        assert store.write(requeue_job, job, attempt, "the worker was lost")
    if way == "started again":
        assert store.write(start_job, study.lease, job) == attempt + 1
    before = [study.rows(JobRow), study.rows(Candidate)]

    late = JobResult(
        {"late": True},
        [MetricValue("accuracy", "", 1.0)],
        [LATENCY],
        [MODEL],
        "complete",
        "late",
        [("train", "")],
    )
    with caplog.at_level(logging.WARNING):
        assert store.write(commit_job, job, attempt, late) is None
    assert f"attempt 1 of job {job} reported late" in caplog.text
    assert not store.write(fail_job, job, attempt, "late", "late")
    assert not store.write(requeue_job, job, attempt, "late")
    store.write(add_epochs, proposed.candidate_id, job, attempt, [(1, {"loss": 1.0})])

    assert [study.rows(JobRow), study.rows(Candidate)] == before
    assert [study.num(model) for model in (Metric, Measurement, ArtifactRow, EpochRow)] == [0, 0, 0, 0]


def test_a_failed_job_keeps_its_traceback(store, study) -> None:
    proposed, attempt = study.started("a")
    assert store.write(fail_job, proposed.job_id, attempt, "ValueError: bad\0byte", "Traceback\n  bad\0byte")
    (job,), (candidate,) = study.rows(JobRow), study.rows(Candidate)
    assert (job.state, candidate.state) == ("failed", "failed")
    assert (candidate.reason, candidate.traceback) == (
        "ValueError: bad\ufffdbyte",
        "Traceback\n  bad\ufffdbyte",
    )
    assert job.error == candidate.reason


def test_a_requeued_job_starts_again_with_the_next_attempt(store, study) -> None:
    proposed, attempt = study.started("a")
    assert store.write(requeue_job, proposed.job_id, attempt, "the worker was lost")
    (job,) = study.rows(JobRow)
    assert (job.state, job.error) == ("queued", "the worker was lost")
    assert store.write(start_job, study.lease, proposed.job_id) == 2


def test_stopping_ends_open_jobs_only(store, study) -> None:
    proposed, attempt = study.started("a")
    store.write(commit_job, proposed.job_id, attempt, JobResult({}, next_jobs=[("train", "")]))
    store.write(stop_candidate, study.lease, proposed.number, "the wall-time budget is spent")
    assert [job.state for job in study.rows(JobRow)] == ["done", "failed"]
    (candidate,) = study.rows(Candidate)
    assert (candidate.state, candidate.reason) == ("stopped", "the wall-time budget is spent")


def test_a_finished_candidate_stays_as_it_is(store, study) -> None:
    proposed, attempt = study.started("a")
    store.write(commit_job, proposed.job_id, attempt, JobResult({}, candidate_state="complete"))
    before = study.rows(Candidate)
    store.write(stop_candidate, study.lease, proposed.number, "too late")
    assert study.rows(Candidate) == before


def test_recovering_takes_this_study_s_running_jobs_only(store, study, other_study) -> None:
    working, _ = study.started("a")
    waiting = study.new("b")
    other_study.started("a")
    assert store.write(recover_jobs, study.lease) == 1
    assert [job.job_id for job in store.read(open_jobs, study.id)] == [working.job_id, waiting.job_id]
    assert store.read(open_jobs, other_study.id) == []


def test_an_epoch_trained_again_replaces_its_point(store, study) -> None:
    proposed, attempt = study.started("a")
    job, candidate = proposed.job_id, proposed.candidate_id
    store.write(add_epochs, candidate, job, attempt, [(1, {"loss": 2.0}), (2, {"loss": float("nan")})])
    store.write(add_epochs, candidate, job, attempt, [])
    store.write(requeue_job, job, attempt, "lost")
    again = store.write(start_job, study.lease, job)
    store.write(add_epochs, candidate, job, again, [(2, {"loss": 1.0}), (3, {"loss": 0.5})])
    store.write(add_epochs, candidate, job, attempt, [(3, {"loss": 9.0})])
    assert [(row.epoch, row.values) for row in sorted(study.rows(EpochRow), key=lambda row: row.epoch)] == [
        (1, {"loss": 2.0}),
        (2, {"loss": 1.0}),
        (3, {"loss": 0.5}),
    ]


def test_a_diverged_loss_is_stored_as_null(store, study) -> None:
    proposed, attempt = study.started("a")
    store.write(add_epochs, proposed.candidate_id, proposed.job_id, attempt, [(1, {"loss": float("nan")})])
    assert study.rows(EpochRow)[0].values == {"loss": None}


def test_a_later_metric_replaces_the_earlier(store, study) -> None:
    proposed, attempt = study.started("a")
    gate = JobResult({}, [MetricValue("latency_ms", "local", 2.0, 1.9, 2.1)], next_jobs=[("measure", "local")])
    (measure,) = store.write(commit_job, proposed.job_id, attempt, gate) or []
    attempt = store.write(start_job, study.lease, measure.job_id)
    store.write(commit_job, measure.job_id, attempt, JobResult({}, [MetricValue("latency_ms", "local", 1.0)]))
    assert [(row.value, row.low) for row in study.rows(Metric)] == [(1.0, None)]


def test_a_commit_that_can_not_be_written_writes_nothing(store, study) -> None:
    proposed, attempt = study.started("a")
    elsewhere = MeasurementValue(**{**vars(LATENCY), "target": "pi"})
    with pytest.raises(StoreError, match="target 'pi' is not in the database"):
        store.write(
            commit_job, proposed.job_id, attempt, JobResult({}, [MetricValue("accuracy", "", 1.0)], [elsewhere])
        )
    assert study.num(Metric) == 0
    assert study.rows(JobRow)[0].state == "running"


@pytest.mark.parametrize("bad", [{"value": float("nan")}, {"value": float("inf")}, {"low": float("nan")}])
def test_a_metric_is_a_finite_number(bad: dict[str, float]) -> None:
    with pytest.raises(JobError, match="accuracy@pi is"):
        MetricValue(**{"name": "accuracy", "target": "pi", "value": 1.0, **bad})


def test_what_is_proposed_is_a_plain_value(study) -> None:
    assert study.new("a") == Proposed(study.rows(Candidate)[0].id, 0, study.rows(JobRow)[0].id)
