from __future__ import annotations

import inspect
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.utils.data import Dataset

from nas.errors import PlanError
from nas.estimators import Epoch
from nas.estimators.predict import outputs
from nas.estimators.teacher import Teacher
from nas.estimators.training import Training
from nas.registry import make
from nas.space import Architecture, Network, Policy
from nas.tasks import Split
from nas.tasks.digits import Digits
from nas.tasks.shapes import ShapesSegmentation

EVERYTHING: dict[str, Any] = {
    "epochs": 3,
    "checkpoint_steps": 3,
    "ema_decay": 0.9,
    "mixup": 0.2,
    "cutmix": 0.5,
    "label_smoothing": 0.1,
    "clip_grad": 1.0,
}


class Killed(Exception):
    """The exception by which a test interrupts a training."""


class Breakable(Digits):
    """Digits with augmentation that count steps and stop the training at a given one."""

    def __init__(self, kill_at: int | None = None) -> None:
        super().__init__(image_size=8, augmentation=True)
        self.steps = 0
        self.kill_at = kill_at
        self.seen: list[Tensor] = []
        self.asked: set[Split] = set()

    def loss(self, outputs: Tensor, targets: Tensor, *, label_smoothing: float = 0.0) -> Tensor:
        if self.steps == self.kill_at:
            raise Killed
        self.steps += 1
        self.seen.append(targets)
        return super().loss(outputs, targets, label_smoothing=label_smoothing)

    def dataset(self, split: Split, *, augment: bool = False) -> Dataset[tuple[Tensor, Tensor]]:
        self.asked.add(split)
        return super().dataset(split, augment=augment)


@cache
def digits() -> Digits:
    return Digits(image_size=8)


def new_network(policies: tuple[Policy, ...] = (), stride: int = 2) -> Network:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = nn.Sequential(
            nn.Conv2d(1, 8, 3, stride, padding=1),
            nn.BatchNorm2d(8),
            nn.ReLU(),
            nn.Dropout(0.2),
            nn.Conv2d(8, 8, 3, padding=1, groups=8),
            digits().head(8, stride),
        )
    return Network(Architecture({"name": "test"}, (), {}), model, policies)


def run(network: Network, task: Any = None, seed: int = 0, folder: Path | None = None, **recipe: Any) -> list[Epoch]:
    task = digits() if task is None else task
    return list(Training(**recipe).fit(network, task, seed=seed, checkpoint=folder))


def weights(network: Network) -> list[Tensor]:
    return list(network.model.state_dict().values())


def equal(one: Network, other: Network) -> bool:
    return all(map(torch.equal, weights(one), weights(other)))


@cache
def uninterrupted() -> tuple[Network, list[Epoch]]:
    network = new_network()
    return network, run(network, Breakable(), **EVERYTHING)


@pytest.mark.parametrize("kill_at", [2, 16, 20, 47])
def test_killed_at_any_step_it_ends_at_the_same_weights(kill_at: int, tmp_path: Path) -> None:
    whole, curve = uninterrupted()
    with pytest.raises(Killed):
        run(new_network(), Breakable(kill_at), folder=tmp_path, **EVERYTHING)
    continued, rest = new_network(), Breakable()
    again = run(continued, rest, folder=tmp_path, **EVERYTHING)
    assert equal(continued, whole)
    assert [epoch.values["train_loss"] for epoch in again] == [epoch.values["train_loss"] for epoch in curve]
    assert rest.steps == 3 * 16 - kill_at // 16 * 16 - kill_at % 16 // 3 * 3, "only the interrupted segment is repeated"


@pytest.mark.parametrize("recipe", [{"optimizer": "sgd"}, {"optimizer": "lamb"}, {"scheduler": "step"}])
def test_other_optimizers_continue_too(recipe: dict[str, Any], tmp_path: Path) -> None:
    whole = new_network()
    run(whole, epochs=2, **recipe)
    with pytest.raises(Killed):
        run(new_network(), Breakable(20), folder=tmp_path, epochs=2, augment=False, **recipe)
    continued = new_network()
    run(continued, Breakable(), folder=tmp_path, epochs=2, augment=False, **recipe)
    assert equal(continued, whole)


def test_loading_workers_continue_too(tmp_path: Path) -> None:
    recipe = {"epochs": 1, "checkpoint_steps": 8, "num_workers": 2}
    whole = new_network()
    run(whole, Breakable(), **recipe)
    with pytest.raises(Killed):
        run(new_network(), Breakable(12), folder=tmp_path, **recipe)
    continued = new_network()
    run(continued, Breakable(), folder=tmp_path, **recipe)
    assert equal(continued, whole)


def test_test_data_are_never_read() -> None:
    task = Breakable()
    run(new_network(), task, epochs=1)
    assert task.asked == {"train", "validation"}


def test_the_average_is_judged_and_kept() -> None:
    plain, averaged = new_network(), new_network()
    run(plain, epochs=2)
    curve = run(averaged, epochs=2, ema_decay=0.95)
    assert not equal(plain, averaged)
    found = digits().score(*outputs(averaged.model, digits().dataset("validation")))
    assert found["accuracy"] == curve[-1].values["accuracy"]


def test_closed_between_epochs_it_hands_over_what_was_judged() -> None:
    network = new_network()
    training = Training(epochs=3, ema_decay=0.9).fit(network, digits(), seed=0)
    epoch = next(training)  # type: ignore[call-overload]
    training.close()  # type: ignore[attr-defined]
    assert not network.model.training
    found = digits().score(*outputs(network.model, digits().dataset("validation")))
    assert found["accuracy"] == epoch.values["accuracy"]


class _Flat(Digits):
    """A task whose score does not improve after the second epoch."""

    scored = 0

    def score(self, outputs: np.ndarray, targets: np.ndarray) -> Mapping[str, float]:
        self.scored += 1
        return {"accuracy": min(self.scored, 2) / 10}


def test_a_plateau_ends_the_training(tmp_path: Path) -> None:
    task = _Flat(image_size=8)
    assert len(run(new_network(), task, epochs=9, patience=3, folder=tmp_path)) == 5
    assert len(run(new_network(), task, epochs=9, patience=3, folder=tmp_path)) == 5, "it must not train further"
    assert len(run(new_network(), _Flat(image_size=8), epochs=6, patience=2, min_delta=0.5)) == 3


class _Recorder(Policy):
    claims = frozenset({"nothing"})

    def __init__(self) -> None:
        self.steps: list[tuple[int, int]] = []

    def ask(self, chooser: Any, sites: Any) -> None:
        """Ask nothing."""

    def attach(self, network: Network) -> None:
        """Attach nothing."""

    def on_step(self, network: Network, step: int, total_steps: int) -> None:
        self.steps.append((step, total_steps))

    def account(self, network: Network) -> Mapping[str, float]:
        return {}


def test_policies_see_every_step(tmp_path: Path) -> None:
    recorder = _Recorder()
    run(new_network((recorder,)), epochs=2)
    assert recorder.steps == [(step, 32) for step in range(32)]


def test_the_rate_warms_up_and_comes_down() -> None:
    rates = [epoch.values["learning_rate"] for epoch in run(new_network(), epochs=4, learning_rate=0.01)]
    assert 0.005 < rates[0] < 0.01
    assert rates[1] > rates[2] > rates[3] > 0
    assert rates[3] < 0.0005


def test_an_epoch_shows_each_image_once() -> None:
    task = Breakable()
    run(new_network(), task, epochs=2, augment=False, batch_size=77)
    first, second = torch.cat(task.seen[:14]), torch.cat(task.seen[14:])
    assert torch.equal(first.sort().values, second.sort().values)
    assert not torch.equal(first, second)


def test_a_data_set_smaller_than_a_batch_is_one_batch() -> None:
    task = Breakable()
    run(new_network(), task, epochs=1, batch_size=5000, mixup=0.1)
    assert task.steps == 1


@pytest.mark.parametrize("stride", [1, 2])
def test_weights_come_back_contiguous(stride: int) -> None:
    network = new_network(stride=stride)
    run(network, epochs=1)
    for value in network.model.parameters():
        assert value.stride() == torch.empty(value.shape).stride()


def test_a_plan_may_give_every_parameter_and_no_other() -> None:
    training = make(Training, {"name": "training", "epochs": 5, "optimizer": "SGD", "ema_decay": None}, "estimator")
    assert training.num_epochs == 5
    with pytest.raises(PlanError, match=r"no parameter 'epoch'; did you mean 'epochs'"):
        make(Training, {"name": "training", "epoch": 5}, "estimator")
    assert "learning_rate" in inspect.signature(Training).parameters


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"epochs": 0}, "epochs is 0"),
        ({"epochs": "many"}, "epochs is 'many'"),
        ({"learning_rate": float("nan")}, "learning_rate is nan"),
        ({"ema_decay": 1.0}, "ema_decay is 1.0"),
        ({"scheduler": "cosin"}, "scheduler is 'cosin'.*'cosine'"),
        ({"optimizer": "adamm"}, "no optimizer 'adamm'; did you mean 'adam"),
        ({"lerning_rate": 1.0}, "did you mean 'learning_rate'"),
    ],
)
def test_wrong_parameters(parameters: dict[str, Any], message: str) -> None:
    with pytest.raises(PlanError, match=message):
        Training(**parameters)


def test_only_classes_can_be_mixed() -> None:
    task = ShapesSegmentation(num_train=16, num_validation=8, num_test=8, cache="")
    with pytest.raises(PlanError, match="ShapesSegmentation"):
        run(new_network(), task, mixup=0.2)


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU here")
def test_a_gpu_that_is_not_there() -> None:
    with pytest.raises(PlanError, match="no GPU"):
        run(new_network(), device="cuda")


def test_pixels_can_be_learned() -> None:
    task = ShapesSegmentation(image_size=16, num_train=256, num_validation=32, num_test=8, difficulty=0, cache="")
    model = nn.Sequential(nn.Conv2d(3, 16, 3, padding=1), nn.ReLU(), task.head(16, 1))
    network = Network(Architecture({"name": "test"}, (), {}), model)
    curve = run(network, task, epochs=3, batch_size=16, learning_rate=0.02)
    assert curve[-1].values.keys() >= {"mean_iou", "pixel_accuracy"}
    assert curve[-1].values["train_loss"] < 0.8 * curve[0].values["train_loss"]


def test_a_cpu_trains_in_bfloat16_only_if_asked() -> None:
    networks = {amp: new_network() for amp in ("auto", "float16", "off", "bfloat16")}
    for amp, network in networks.items():
        run(network, epochs=1, amp=amp, device="cpu")
    assert equal(networks["auto"], networks["off"])
    assert equal(networks["float16"], networks["off"])
    assert not equal(networks["bfloat16"], networks["off"])
    assert {value.dtype for value in weights(networks["bfloat16"]) if value.is_floating_point()} == {torch.float32}


def perceptron() -> Network:
    """A network that learns digits within a few epochs."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = nn.Sequential(nn.Flatten(), nn.Linear(64, 32), nn.ReLU(), nn.Linear(32, 10))
    return Network(Architecture({"name": "perceptron"}, (), {}), model)


def test_an_average_with_rising_decay_does_not_keep_the_first_weights() -> None:
    recipe = {"epochs": 4, "ema_decay": 0.9999, "augment": False}
    fixed, rising = (run(perceptron(), ema_warmup=warmup, **recipe)[-1].values["accuracy"] for warmup in (False, True))
    assert rising > fixed + 0.2


def taught(teacher: Network, folder: Path | None = None, **settings: float) -> tuple[Network, list[Epoch]]:
    student, training = perceptron(), Training(epochs=3)
    loss = {"temperature": 2.0, "hard_weight": 1.0, "soft_weight": 1.0, **settings}
    identity = str(float(weights(teacher)[0].sum()))
    training.use_teacher(Teacher(teacher.model, identity, **loss))
    return student, list(training.fit(student, digits(), seed=0, checkpoint=folder))


def test_a_student_learns_from_its_teacher_without_labels(tmp_path: Path) -> None:
    teacher, other = perceptron(), perceptron()
    before = run(teacher, epochs=8)[-1].values["accuracy"]
    kept = [value.clone() for value in weights(teacher)]
    student, curve = taught(teacher, tmp_path, hard_weight=0.0)
    assert curve[-1].values["accuracy"] > 0.6 * before
    assert all(map(torch.equal, weights(teacher), kept)), "the teacher stays as it is"
    again, _ = taught(teacher, tmp_path, hard_weight=0.0)
    assert equal(student, again)
    untaught, _ = taught(other, tmp_path, hard_weight=0.0)
    assert not equal(student, untaught), "a checkpoint belongs to its teacher"
