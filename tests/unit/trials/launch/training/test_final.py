"""Final trainings of candidates of a study that was really trained, run by jobs in this process."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from safetensors.torch import save_file
from sqlalchemy import update

import nas.torchvision_fix  # noqa: F401
from nas.errors import JobError, PlanError, StudyError, UnknownNameError
from nas.tasks.digits import Digits
from tests.unit.trials.launch.conftest import PLAN, EventByEvent
from trials.export.candidate import export_candidate
from trials.export.recipe import overrides_of
from trials.export.weights import choose_weights
from trials.launch.training.final import train_finally
from trials.plans.final_training import final_training_of
from trials.plans.plan import make_plan
from trials.store.models import Candidate
from trials.store.read.candidate import candidate_detail
from trials.store.read.candidates import Value
from trials.store.read.final_trainings import FinalTrainingInfo, best_final_training
from trials.store.store import Store


def trained(store: Store, *overrides: str, number: int = 0, **options: Any) -> FinalTrainingInfo:
    return train_finally(store, "study", [number], overrides, **options)[number]


def sha256(training: FinalTrainingInfo) -> str:
    assert training.weights is not None
    return str(training.weights["sha256"])


def test_a_final_training_is_stored_beside_the_search(store: Store, executor: EventByEvent) -> None:
    before = candidate_detail(store, "study", 0)
    found = trained(store)
    after = candidate_detail(store, "study", 0)
    assert (after.row.metrics, after.curve, after.artifacts) == (before.row.metrics, before.curve, before.artifacts)
    assert after.final_trainings == (found,)
    assert (found.state, found.attempt, found.error) == ("complete", 1, None)
    assert found.curve.epochs == (0, 1)
    assert found.scores["accuracy"].value > before.row.metrics["accuracy"].value
    assert Path(str(found.weights["uri"])).is_file()  # type: ignore[index]
    assert not list((store.folder / "nas_artifacts" / "final_training").rglob("*.json")), "the checkpoint is removed"
    assert trained(store) == found
    assert len(executor.ran) == 1, "a complete training is not repeated"
    other = trained(store, "seed=1")
    assert sha256(other) != sha256(found)
    best = best_final_training(candidate_detail(store, "study", 0).final_trainings, "accuracy", "maximize")
    assert best is not None
    assert best.scores["accuracy"].value == max(item.scores["accuracy"].value for item in (found, other))


def test_an_interrupted_training_continues_at_the_same_command(copy: Callable[[], Store]) -> None:
    whole = trained(copy(), "epochs=3", "checkpoint_steps=5")
    store, reports = copy(), list[str]()

    def interrupt(number: int, text: str) -> None:
        reports.append(text)
        if text.startswith("epoch") and len(reports) in (1, 3):
            raise KeyboardInterrupt

    for attempt in (1, 2):
        with pytest.raises(KeyboardInterrupt):
            trained(store, "epochs=3", "checkpoint_steps=5", on_step=interrupt)
        (left,) = candidate_detail(store, "study", 0).final_trainings
        assert (left.state, left.attempt, len(left.curve.epochs)) == ("interrupted", attempt, attempt)
    found = trained(store, "epochs=3", "checkpoint_steps=5", on_step=interrupt)
    assert (found.state, found.attempt) == ("complete", 3)
    assert sha256(found) == sha256(whole)


def test_a_failed_training_is_a_record_with_its_traceback(store: Store) -> None:
    with pytest.raises(JobError, match=r"the final training of trial 0 failed: JobError: the training loss is"):
        trained(store, "learning_rate=1e30", "optimizer=sgd")
    (found,) = candidate_detail(store, "study", 0).final_trainings
    assert found.state == "failed"
    assert found.traceback is not None
    assert "Traceback" in found.traceback
    assert found.error in found.traceback  # type: ignore[operator]


def test_a_teacher_changes_the_weights(store: Store) -> None:
    shas = {sha256(trained(store, "epochs=1"))}
    shas |= {sha256(trained(store, "epochs=1", f"teacher={teacher}")) for teacher in ("dense", "trial:1")}
    assert len(shas) == 3


def test_trials_that_can_not_be_trained_are_refused(store: Store, executor: EventByEvent) -> None:
    with pytest.raises(UnknownNameError, match="no trial 9; its trials are 0 to 1"):
        trained(store, number=9)
    with store.transaction() as connection:
        connection.execute(update(Candidate).values(state="failed", reason="the loss is nan"))
    with pytest.raises(StudyError, match=r"trial 0 of 'study' is failed \(the loss is nan\) and can't be trained"):
        trained(store)
    assert not executor.ran


def test_a_wrong_recipe_or_teacher_is_refused_before_anything_is_trained(
    store: Store, executor: EventByEvent, tmp_path: Path
) -> None:
    import timm

    weights = tmp_path / "weights.safetensors"
    save_file(timm.create_model("resnet10t", num_classes=7).state_dict(), weights)
    wrong = {
        "epoch=3": "final_training: estimator: 'training' has no parameter 'epoch'; did you mean 'epochs'",
        "estimator.epochs=3": "estimator.epochs=3: the keys are those under final_training .*; write `epochs=3`",
        "teacher=best": "final_training.teacher: .*a teacher is dense, trial:N, or timm:MODEL,weights=FILE",
        "teacher=trial:9": "no trial 9",
        f"teacher=timm:resnet10t,weights={tmp_path / 'missing'}": "there is no file .*missing",
        f"teacher=timm:resnet10x,weights={weights}": "has no model 'resnet10x'; did you mean 'resnet1",
        f"teacher=timm:resnet10t,weights={weights}": "its weights are for 7 classes, but the task has 10",
        f"teacher=timm:resnet18,weights={weights}": "for 7 classes|does not hold the weights of resnet18",
    }
    for override, message in wrong.items():
        with pytest.raises((PlanError, UnknownNameError), match=message):
            trained(store, override)
    with pytest.raises(PlanError, match="this estimator can't use a teacher"):
        trained(store, "name=sparse_then_quantize", "teacher=dense")
    assert not executor.ran
    assert not candidate_detail(store, "study", 0).final_trainings


def test_the_better_weights_are_exported(store: Store, tmp_path: Path) -> None:
    detail = candidate_detail(store, "study", 0)
    task = Digits(image_size=8)
    with pytest.raises(StudyError, match="trial 0 of 'study' has no complete final training; train it with nas train"):
        choose_weights(detail, task, "final")
    with pytest.raises(PlanError, match="weights 'newest'; allowed: best, search, final"):
        choose_weights(detail, task, "newest")
    searched = choose_weights(detail, task)
    final = trained(store, "seed=3", "label_smoothing=0.001", "teacher=dense")
    detail = candidate_detail(store, "study", 0)
    assert choose_weights(detail, task, "search").sha256 == searched.sha256
    chosen = choose_weights(detail, task)
    assert chosen.sha256 == choose_weights(detail, task, "final").sha256 == sha256(final)
    row = export_candidate(store, "study", 0, tmp_path / "out")
    report = json.loads((tmp_path / "out" / "report.json").read_text())
    assert report["weights"]["sha256"] == sha256(final)
    assert report["scores"]["validation"]["accuracy"] == pytest.approx(final.scores["accuracy"].value, abs=0.005)
    html, card = ((tmp_path / "out" / name).read_text() for name in ("report.html", "README.md"))
    assert "weights of the final training: accuracy 0" in html
    assert "Weights of the final training: accuracy 0" in card
    (doubt,), (before,) = final.doubts, detail.row.doubts
    assert doubt != before
    assert doubt in report["beware"]
    assert before not in report["beware"]
    assert before not in html
    command = report["weights"]["final_training"]["command"]
    assert command == "nas train study --trial 0 label_smoothing=0.001 teacher=dense seed=3"
    assert f"```sh\n{command}\n```" in card
    assert command in html
    searched_row = export_candidate(store, "study", 0, tmp_path / "searched", "search")
    assert (row["weights"], searched_row["weights"]) == ("final", "search")
    assert "nas train" not in (tmp_path / "searched" / "README.md").read_text()
    assert before in json.loads((tmp_path / "searched" / "report.json").read_text())["beware"]


@pytest.mark.parametrize(
    "overrides",
    [
        [],
        ["learning_rate=1e-5", "teacher=trial:1"],
        ["distillation.temperature=3.0", "teacher=timm:resnet10t,weights=a b.safetensors", "workers=2"],
        ["name=sparse_then_quantize", "seed=7"],
    ],
)
def test_the_overrides_of_a_recipe_make_it_again(overrides: list[str]) -> None:
    plan = make_plan(PLAN)
    recipe = json.loads(json.dumps(final_training_of(plan, overrides).to_json()))
    assert final_training_of(plan, overrides_of(plan, recipe)).to_json() == recipe


def test_on_equal_scores_the_final_training_is_taken(store: Store) -> None:
    trained(store)
    detail = candidate_detail(store, "study", 0)
    (final,) = detail.final_trainings
    search = choose_weights(detail, Digits(image_size=8), "search").scores["accuracy"]
    equal = replace(detail, final_trainings=(replace(final, scores={"accuracy": Value(search)}),))
    chosen = choose_weights(equal, Digits(image_size=8))
    assert chosen.kind == "final"
    assert chosen.reason.endswith("; on equal scores, those of the final training are taken")


def test_weights_that_score_worse_than_those_of_the_search_are_not_exported(store: Store) -> None:
    worse = trained(store, "epochs=1", "learning_rate=1e-6", "warmup_epochs=0")
    detail = candidate_detail(store, "study", 0)
    assert worse.scores["accuracy"].value < detail.row.metrics["accuracy"].value
    assert choose_weights(detail, Digits(image_size=8)).reason.startswith("weights of the search: accuracy 0.")
