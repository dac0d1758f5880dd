"""A stored study as Optuna sees it: states, values, placeholders, importances, Optuna's own database."""

from __future__ import annotations

from pathlib import Path

import optuna
import pytest
from optuna.trial import TrialState

from nas.errors import StudyError, UnknownNameError
from nas.space.chooser import Chooser, RandomChooser
from nas.strategies import Suggestion
from trials.analysis.importance import importances
from trials.analysis.optuna_view import export_rdb, optuna_study
from trials.store.records import ArchitectureValue, JobResult, Lease, MetricValue, Proposed
from trials.store.store import Store
from trials.store.write.jobs import commit_job, fail_job, start_job, stop_candidate
from trials.store.write.leases import acquire_lease, release_lease
from trials.store.write.proposals import propose
from trials.store.write.studies import create_study

LIMIT_MS = 3.0


def network(chooser: Chooser) -> tuple[float, float]:
    """Accuracy depends on the width, latency on the depth; the colour has no effect."""
    width = int(chooser.choose("width", (1, 2, 4, 8), ordered=True))  # type: ignore[arg-type]
    depth = int(chooser.choose("depth", (1, 2, 3, 4), ordered=True))  # type: ignore[arg-type]
    chooser.choose("colour", ("red", "green", None))
    chooser.choose("second", ("a", "b"), active=depth > 1)
    return 0.5 + 0.05 * width, 0.9 * depth + 0.01 * width


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The study ``digits`` of 81 suggestions: one repeated, one failed, one stopped, one running."""
    url = f"sqlite:///{tmp_path_factory.mktemp('store') / 'nas.db'}"
    store = Store(url)
    study_id = store.write(
        create_study,
        name="digits",
        group="digits",
        role="search",
        plan={"targets": [{"name": "pi"}, {"name": "phone"}]},
        limits={"latency_ms": {"min": None, "max": LIMIT_MS}},
        objectives={"accuracy": "maximize", "latency_ms": "minimize"},
        environment={},
        seed=0,
    )
    lease = store.write(acquire_lease, study_id, "here:1:1", 60)
    for number in range(81):
        chooser = RandomChooser(max(0, number - 1))
        accuracy, latency_ms = network(chooser)
        proposed = store.write(
            propose,
            lease,
            Suggestion.from_chooser(number, chooser),
            ArchitectureValue(f"network{max(0, number - 1)}", "toy", {}, 1, 1, []),
            ("train", ""),
        )
        if number != 1:
            assert isinstance(proposed, Proposed)
            _finish(store, lease, proposed, number, accuracy, latency_ms)
    store.write(release_lease, lease, "interrupted", {})
    store.close()
    return url


def _finish(store: Store, lease: Lease, proposed: Proposed, number: int, accuracy: float, latency_ms: float) -> None:
    if number == 80:
        return
    attempt = store.write(start_job, lease, proposed.job_id)
    if number == 78:
        store.write(fail_job, proposed.job_id, attempt, "loss is nan", "Traceback")
    elif number == 79:
        store.write(stop_candidate, lease, proposed.number, "time is up")
    else:
        infeasible = latency_ms > LIMIT_MS
        metrics = [MetricValue("latency_ms", "phone", 99.0), MetricValue("latency_ms", "pi", latency_ms)]
        metrics += [] if infeasible else [MetricValue("accuracy", "", accuracy)]
        state = "infeasible" if infeasible else "complete"
        store.write(commit_job, proposed.job_id, attempt, JobResult({}, metrics, candidate_state=state))


def test_one_trial_for_each_finished_candidate(url: str) -> None:
    study = optuna_study(url, "digits")
    assert study.study_name == "digits"
    assert [direction.name for direction in study.directions] == ["MAXIMIZE", "MINIMIZE"]
    assert study.metric_names == ["accuracy", "latency_ms"]
    assert [trial.number for trial in study.trials] == list(range(79))
    suggestions = [trial.user_attrs["suggestion"] for trial in study.trials]
    assert suggestions == [0, *range(2, 80)]
    assert study.trials[-2].state == TrialState.FAIL
    assert study.trials[-1].state == TrialState.PRUNED


def test_complete_trials_hold_what_was_recorded(url: str) -> None:
    trials = [trial for trial in optuna_study(url, "digits").trials if trial.user_attrs["state"] == "complete"]
    assert len(trials) > 40
    for trial in trials:
        width, depth = trial.params["width"], trial.params["depth"]
        assert trial.values == pytest.approx([0.5 + 0.05 * width, 0.9 * depth + 0.01 * width])
        assert trial.constraints["latency_ms"] <= 0
        assert trial.user_attrs["latency_ms@phone"] == 99.0
        assert "placeholders" not in trial.user_attrs


def test_infeasible_trials_have_a_constraint_and_named_placeholders(url: str) -> None:
    study = optuna_study(url, "digits")
    trials = [trial for trial in study.trials if trial.user_attrs["state"] == "infeasible"]
    measured = [trial for trial in study.trials if trial.user_attrs["state"] == "complete"]
    assert len(trials) > 5
    for trial in trials:
        assert trial.state == TrialState.COMPLETE
        assert trial.constraints["latency_ms"] == pytest.approx(trial.values[1] / LIMIT_MS - 1)
        assert trial.user_attrs["placeholders"] == ["accuracy"]
        assert trial.values[0] == min(other.values[0] for other in measured)
    assert not {trial.number for trial in study.best_trials} & {trial.number for trial in trials}


def test_answers_without_effect_can_be_left_out(url: str) -> None:
    whole, active = optuna_study(url, "digits"), optuna_study(url, "digits", active_only=True)
    for left, right in zip(whole.trials, active.trials, strict=True):
        assert set(left.params) == {"width", "depth", "colour", "second"}
        assert ("second" in right.params) == (left.params["depth"] > 1)


def test_the_view_can_be_searched_on(url: str) -> None:
    study = optuna_study(url, "digits")
    study.sampler = optuna.samplers.NSGAIISampler(seed=0, population_size=10)
    trial = study.ask()
    assert trial.suggest_categorical("width", (1, 2, 4, 8)) in (1, 2, 4, 8)


@pytest.mark.parametrize("evaluator", ["ped_anova", "fanova"])
def test_importances_find_what_matters(url: str, evaluator: str) -> None:
    found = importances(url, "digits", evaluator)  # type: ignore[arg-type]
    assert set(found) == {"accuracy", "latency_ms"}
    for shares in found.values():
        assert sum(shares.values()) == pytest.approx(1.0)
        assert list(shares.values()) == sorted(shares.values(), reverse=True)
    assert max(found["accuracy"], key=found["accuracy"].__getitem__) == "width"
    assert max(found["latency_ms"], key=found["latency_ms"].__getitem__) == "depth"


def test_too_few_candidates_have_no_importances(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("trials.analysis.importance.MIN_COMPLETE", 1000)
    with pytest.raises(StudyError, match="complete candidates; importances need 1000"):
        importances(url, "digits")
    with pytest.raises(StudyError, match="allowed: ped_anova, fanova"):
        importances(url, "digits", "anova")  # type: ignore[arg-type]


def test_an_optuna_database_is_written_once(url: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    rdb = f"sqlite:///{tmp_path / 'optuna.db'}"
    export_rdb(url, "digits", rdb)
    assert capfd.readouterr() == ("", "")
    written = optuna.load_study(study_name="digits", storage=rdb)
    view = optuna_study(url, "digits")
    assert written.metric_names == view.metric_names
    for left, right in zip(written.trials, view.trials, strict=True):
        assert (left.state, left.values, left.params) == (right.state, right.values, right.params)
        assert (left.constraints, left.user_attrs) == (right.constraints, right.user_attrs)
    with pytest.raises(StudyError, match="has a study 'digits'"):
        export_rdb(url, "digits", rdb)


def test_our_own_database_is_not_overwritten(url: str) -> None:
    for same in (
        url,
        url.replace("sqlite:", "sqlite+pysqlite:"),
        url.replace("nas.db", "../" + url.split("/")[-2] + "/nas.db"),
    ):
        with pytest.raises(StudyError, match="own database"):
            export_rdb(url, "digits", same)


def test_an_unknown_study_is_named(url: str) -> None:
    with pytest.raises(UnknownNameError, match="did you mean 'digits'"):
        optuna_study(url, "digit")
