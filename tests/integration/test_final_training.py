"""`nas train` and `nas reproduce` in processes of their own: killed, with several workers, and with broken studies."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.integration.forks import Fork, nas
from tests.integration.killed import die
from trials.launch.training.final import train_finally
from trials.store.read.candidate import candidate_detail
from trials.store.store import Store

EPOCHS = 5
RECIPE = [f"epochs={EPOCHS}", "checkpoint_steps=4"]
TASK = {"name": "digits", "image_size": 8}


def train_and_die(url: str, teacher: str, epochs: int) -> None:
    """Train trial 0 finally, and kill this process after it has stored some epochs."""

    def count(number: int, text: str) -> None:
        if text.startswith(f"epoch {epochs} of {EPOCHS},"):
            die()

    train_finally(Store(url), "study", [0], [*RECIPE, f"teacher={teacher}"], on_step=count)


def shas(url: str) -> list[str]:
    trainings = candidate_detail(Store(url), "study", 0).final_trainings
    return [str(item.weights["sha256"]) for item in trainings if item.weights]


@pytest.fixture
def searched(plan: Callable[..., Path], url: str) -> Path:
    path = plan(task=TASK, budget={"trials": 1}, estimator={"name": "training", "epochs": 2})
    nas("search", str(path), "--storage", url)
    return path


@pytest.mark.slow
def test_a_training_that_is_killed_twice_ends_at_the_weights_of_one_that_is_not(searched: Path, url: str) -> None:
    for epochs in (2, 4):
        died = Fork("tests.integration.test_final_training:train_and_die", url, "dense", epochs).finish()
        assert died.returncode == -9
        (left,) = candidate_detail(Store(url), "study", 0).final_trainings
        assert (left.state, len(left.curve.epochs)) == ("interrupted", epochs)
    command = ["train", "study", "--trial", "0", *RECIPE, "--teacher", "dense", "--storage", url]
    nas(*command)
    (interrupted,) = shas(url)
    nas("delete", "study", "--yes", "--storage", url)
    nas("search", str(searched), "--storage", url)
    nas(*command)
    assert shas(url) == [interrupted]


@pytest.mark.slow
def test_two_workers_train_like_one_with_the_same_batch(searched: Path, url: str) -> None:
    recipe = [*RECIPE, "augment=false", "ema_decay=null"]
    losses = []
    for workers in (1, 2):
        nas("train", "study", "--best", *recipe, "--workers", str(workers), "--storage", url)
    one, two = candidate_detail(Store(url), "study", 0).final_trainings
    for training in (one, two):
        assert training.state == "complete"
        losses.append([values["train_loss"] for values in training.curve.values])
        assert [values["learning_rate"] for values in training.curve.values] == [
            values["learning_rate"] for values in one.curve.values
        ]
    assert losses[0] == pytest.approx(losses[1], abs=0.15)
    assert abs(one.scores["accuracy"].value - two.scores["accuracy"].value) < 0.1


@pytest.mark.slow
def test_a_failure_of_one_worker_is_a_record(searched: Path, url: str) -> None:
    wrong = [*RECIPE, "learning_rate=1e30", "optimizer=sgd"]
    found = nas("train", "study", "--best", *wrong, "--workers", "2", "--storage", url, check=False)
    assert found.returncode == 2
    assert "the training loss is" in found.stderr
    (failed,) = candidate_detail(Store(url), "study", 0).final_trainings
    assert failed.state == "failed"
    assert failed.traceback is not None


@pytest.mark.slow
def test_a_trial_is_reproduced_by_the_command(searched: Path, url: str) -> None:
    found: dict[str, Any] = json.loads(nas("reproduce", "study", "0", "--json", "--storage", url).stdout)
    assert found["is_equal"]
    assert found["recorded_sha256"] == found["found_sha256"]


@pytest.mark.slow
def test_a_study_whose_own_code_is_gone_is_not_trained(plan: Callable[..., Path], url: str, tmp_path: Path) -> None:
    code = tmp_path / "code"
    code.mkdir()
    (code / "gone_task.py").write_text("from nas.tasks.digits import Digits\n\n\nclass Gone(Digits):\n    pass\n")
    path = plan(task={"name": "gone_task:Gone", "image_size": 8}, budget={"trials": 1}, code=[str(code)])
    nas("search", str(path), "--storage", url)
    (code / "gone_task.py").unlink()
    for command in (["train", "study", "--best"], ["reproduce", "study", "0"]):
        found = nas(*command, "--storage", url, check=False)
        assert found.returncode == 2
        assert "gone_task" in found.stderr
        assert "Traceback" not in found.stderr
    assert not candidate_detail(Store(url), "study", 0).final_trainings
