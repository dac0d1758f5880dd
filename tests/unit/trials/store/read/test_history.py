from nas.space.chooser import Question
from trials.store.read.history import open_jobs, stored_suggestions
from trials.store.records import JobResult, MetricValue
from trials.store.write.jobs import commit_job


def _complete(study, identity: str, accuracy: float) -> None:
    proposed, attempt = study.started(identity)
    result = JobResult(
        {"structure_hash": identity},
        [MetricValue("accuracy", "", accuracy), MetricValue("latency_ms", "local", 2.0, 1.5, 2.5)],
        candidate_state="complete",
    )
    study.store.write(commit_job, proposed.job_id, attempt, result)


def test_suggestions_come_back_as_they_were_with_what_became_of_them(study, other_study) -> None:
    _complete(study, "a", 0.9)
    study.new("b")
    study.propose("a")
    other_study.new("a")
    first, second, third = study.store.read(stored_suggestions, study.id)
    assert [row.suggestion.number for row in (first, second, third)] == [0, 1, 2]
    assert [row.duplicate for row in (first, second, third)] == [False, False, True]
    assert [row.state for row in (first, second, third)] == ["complete", "queued", "complete"]
    assert first.suggestion.questions == (
        Question("width", (16, 32, None), ordered=True, site="stage0"),
        Question("kind", ("conv", "pool"), active=True),
    )
    assert first.suggestion.answers == {"width": 16, "kind": "conv"}
    assert third.suggestion.sampler_state == {"generation": 1}
    assert second.metrics == {}
    assert (first.candidate, first.metrics) == (third.candidate, third.metrics)
    assert first.metrics == {
        ("accuracy", ""): MetricValue("accuracy", "", 0.9),
        ("latency_ms", "local"): MetricValue("latency_ms", "local", 2.0, 1.5, 2.5),
    }


def test_equal_questions_are_one_object(study) -> None:
    for identity in "abcd":
        study.new(identity)
    found = [row.suggestion.questions for row in study.store.read(stored_suggestions, study.id)]
    assert found[0] is found[2]
    assert found[1] is found[3]
    assert found[0] != found[1]


def test_an_open_job_brings_all_that_is_known_of_its_candidate(study) -> None:
    _complete(study, "a", 0.9)
    proposed, attempt = study.started("b")
    gated = JobResult({"structure_hash": "b"}, [MetricValue("latency_ms", "local", 2.0)], next_jobs=[("train", "")])
    (train,) = study.store.write(commit_job, proposed.job_id, attempt, gated) or []
    waiting = study.new("c")
    opened, queued = study.store.read(open_jobs, study.id)
    assert (opened.job_id, opened.kind, opened.target) == (train.job_id, "train", "")
    assert (opened.candidate_id, opened.number, opened.state) == (proposed.candidate_id, 1, "running")
    assert (opened.identity, opened.architecture) == ("b", {"answers": {"width": 16}})
    assert opened.results == {("gate", "local"): {"structure_hash": "b"}}
    assert opened.metrics == {("latency_ms", "local"): MetricValue("latency_ms", "local", 2.0)}
    assert (queued.job_id, queued.state, queued.results, queued.metrics) == (waiting.job_id, "queued", {}, {})


def test_an_empty_study_has_no_history(study) -> None:
    assert study.store.read(stored_suggestions, study.id) == []
    assert study.store.read(open_jobs, study.id) == []
