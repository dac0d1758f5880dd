"""The contract of every registered task: its data, its head and loss, its scores, its fingerprint."""

from __future__ import annotations

import hashlib
import inspect
import pickle
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor
from torch.utils.data import Dataset

from nas.errors import TaskError
from nas.tasks import TASKS, Split, Task
from nas.tasks.digits import Digits
from nas.tasks.intervals import score_intervals

SPLITS: tuple[Split, ...] = ("train", "validation", "test")
SMALL = {"num_train": 120, "num_validation": 60, "num_test": 60, "cache": ""}
Make = Callable[..., Task]


def write_cifar(folder: Path, source: Any, classes: int, patch: pytest.MonkeyPatch) -> None:
    """Write a few images in the published layout, and their checksums."""
    random = np.random.default_rng(classes)
    (folder / source.base_folder).mkdir(parents=True)

    def write(name: str, content: Mapping[str, Any]) -> str:
        data = pickle.dumps(content)
        (folder / source.base_folder / name).write_bytes(data)
        return hashlib.md5(data).hexdigest()

    def batch(name: str) -> list[str]:
        labels = list(range(classes)) * 3
        images = random.integers(0, 256, (len(labels), 3 * 32 * 32), dtype=np.uint8)
        return [name, write(name, {"data": images, "labels": labels, "fine_labels": labels})]

    patch.setattr(source, "train_list", [batch(name) for name, _ in source.train_list])
    patch.setattr(source, "test_list", [batch(name) for name, _ in source.test_list])
    key = source.meta["key"]
    names = write(source.meta["filename"], {key: [str(number) for number in range(classes)]})
    patch.setattr(source, "meta", {**source.meta, "md5": names})


def write_images(folder: Path) -> None:
    random = np.random.default_rng(0)
    for name in ("cat", "dog", "hen"):
        (folder / name).mkdir(parents=True)
        for number in range(20):
            image = random.integers(0, 256, (40, 30, 3), dtype=np.uint8)
            Image.fromarray(image).save(folder / name / f"{number}.png")


@pytest.fixture(scope="module")
def parameters(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Parameters of tasks that require some, or that would take long by default."""
    from torchvision.datasets import CIFAR10, CIFAR100

    patch, folder = pytest.MonkeyPatch(), tmp_path_factory.mktemp("data")
    write_cifar(folder / "cifar", CIFAR10, 10, patch)
    write_cifar(folder / "cifar", CIFAR100, 100, patch)
    write_images(folder / "images")
    yield {
        "cifar10": {"path": str(folder / "cifar"), "num_validation": 30},
        "cifar100": {"path": str(folder / "cifar"), "num_validation": 100},
        "image_folder": {"path": str(folder / "images"), "image_size": 24},
        "shapes": SMALL,
        "shapes_segmentation": SMALL,
    }
    patch.undo()


@pytest.fixture(params=TASKS.names())
def make(request: pytest.FixtureRequest, parameters: Mapping[str, Any]) -> Make:
    """Build the task, with further parameters."""
    factory, given = TASKS.get(request.param), parameters.get(request.param, {})

    def build(**more: Any) -> Task:
        return factory(**{**given, **more})

    build.__signature__ = inspect.signature(factory)  # type: ignore[attr-defined]
    return build


def items(task: Task, split: Split, most: int = 200) -> tuple[Tensor, Tensor]:
    data = task.dataset(split)
    pairs = [data[index] for index in range(min(most, len(data)))]  # type: ignore[arg-type]
    return torch.stack([inputs for inputs, _ in pairs]), torch.stack([torch.as_tensor(item) for _, item in pairs])


def check_items_are_inputs_as_deployed(make: Make) -> None:
    task = make()
    for split in SPLITS:
        inputs, targets = items(task, split)
        assert inputs.shape[1:] == task.input_shape
        assert inputs.dtype == torch.float32
        assert targets.dtype == torch.int64
        assert torch.isfinite(inputs).all()
        assert 0.05 < inputs.std() < 20, "inputs are normalised"
        augmented, _ = task.dataset(split, augment=True)[0]
        assert augmented.shape == task.input_shape
        assert augmented.dtype == torch.float32


def check_splits_share_nothing(make: Make) -> None:
    task = make()
    seen = [{item.numpy().tobytes() for item in items(task, split)[0]} for split in SPLITS]
    assert all(seen)
    assert len(seen[0] | seen[1] | seen[2]) == sum(map(len, seen))


def check_the_same_in_every_process(make: Make) -> None:
    first, second = make(), make()
    assert first.fingerprint() == second.fingerprint()
    for split in SPLITS:
        ours, theirs = items(first, split), items(second, split)
        assert torch.equal(ours[0], theirs[0])
        assert torch.equal(ours[1], theirs[1])


def check_another_seed_is_other_data(make: Make) -> None:
    if "seed" not in inspect.signature(make).parameters:
        return
    assert make(seed=1).fingerprint() != make().fingerprint()
    assert not torch.equal(items(make(seed=1), "train")[0], items(make(), "train")[0])


def check_head_and_loss_train(make: Make) -> None:
    task = make()
    _, targets = items(task, "train", 8)
    reductions = [reduction for reduction in (1, 2, 4) if min(task.input_shape[1:]) % reduction == 0]
    for reduction in reductions:
        height, width = (size // reduction for size in task.input_shape[1:])
        head = task.head(6, reduction)
        outputs = head(torch.randn(len(targets), 6, height, width))
        assert outputs.shape[:2] == (len(targets), task.num_outputs)
        for smoothing in (0.0, 0.1):
            loss = task.loss(outputs, targets, label_smoothing=smoothing)
            assert loss.shape == ()
            head.zero_grad()
            loss.backward(retain_graph=True)
            assert all(weight.grad is not None and weight.grad.abs().sum() > 0 for weight in head.parameters())


def check_soft_targets_where_mixup_is_supported(make: Make) -> None:
    task = make()
    if not task.supports_mixup:
        return
    _, targets = items(task, "train", 8)
    outputs = torch.randn(len(targets), task.num_outputs)
    soft = torch.nn.functional.one_hot(targets, task.num_outputs).float()
    torch.testing.assert_close(task.loss(outputs, soft), task.loss(outputs, targets))


def check_right_answers_score_best(make: Make) -> None:
    task = make()
    _, found = items(task, "validation")
    targets = found.numpy()
    right = np.moveaxis(np.eye(task.num_outputs, dtype=np.float32)[targets], -1, 1)
    wrong = np.roll(right, 1, axis=1)
    best, worst = task.score(right, targets), task.score(wrong, targets)
    assert set(best) == {metric.name for metric in task.metrics}
    for metric in task.metrics:
        assert isinstance(best[metric.name], float)
        sign = 1 if metric.direction == "maximize" else -1
        assert sign * best[metric.name] > sign * worst[metric.name]


def check_a_resampled_score_is_that_of_the_sample(make: Make) -> None:
    task = make()
    targets = items(task, "validation", 12)[1].numpy()
    random = np.random.default_rng(0)
    outputs = random.normal(size=(len(targets), task.num_outputs, *targets.shape[1:])).astype(np.float32)
    counts = random.multinomial(len(targets), np.full(len(targets), 1 / len(targets)), size=3)
    found = task.score_resampled(outputs, targets, counts)
    for place, count in enumerate(counts):
        drawn = np.repeat(np.arange(len(targets)), count)
        expected = task.score(outputs[drawn], targets[drawn])
        assert {name: values[place] for name, values in found.items()} == pytest.approx(expected)
    everything = dict(task.score(outputs, targets))
    intervals = score_intervals(task, outputs, targets, everything)
    assert set(intervals) == set(everything)
    for name, (low, high) in intervals.items():
        assert low <= everything[name] <= high
    for metric in task.metrics:
        if metric.proportion:  # An accuracy from examples is never known exactly.
            assert intervals[metric.name][0] < intervals[metric.name][1]
            assert round(everything[metric.name] * len(targets), 6).is_integer()


CHECKS = [
    check_items_are_inputs_as_deployed,
    check_splits_share_nothing,
    check_the_same_in_every_process,
    check_another_seed_is_other_data,
    check_head_and_loss_train,
    check_soft_targets_where_mixup_is_supported,
    check_right_answers_score_best,
    check_a_resampled_score_is_that_of_the_sample,
]


@pytest.mark.parametrize("check", CHECKS)
def test_task(make: Make, check: Callable[[Make], None]) -> None:
    check(make)


@pytest.mark.parametrize("name", ["cifar10", "cifar100", "image_folder"])
def test_missing_data_say_what_to_put_where(name: str, tmp_path: Path) -> None:
    with pytest.raises(TaskError, match="path"):
        TASKS.get(name)()
    with pytest.raises(TaskError, match=str(tmp_path)):
        TASKS.get(name)(path=str(tmp_path / "absent"))  # type: ignore[call-arg]


class _Wrong(Digits):
    """Planted: breaks every rule once."""

    built = 0

    def __init__(self, seed: int = 0) -> None:
        super().__init__(image_size=8)
        _Wrong.built += 1
        self._number = _Wrong.built

    def dataset(self, split: Split, *, augment: bool = False) -> Dataset[tuple[Tensor, Tensor]]:
        data = super().dataset("validation")  # whatever was asked for
        return [(inputs.double(), target) for inputs, target in (data[index] for index in range(20))]  # type: ignore

    def fingerprint(self) -> str:
        return str(self._number) if self._number % 2 else "even"

    def loss(self, outputs: Tensor, targets: Tensor, *, label_smoothing: float = 0.0) -> Tensor:
        hard = targets if targets.dim() == 1 else targets.argmin(dim=1)
        return super().loss(outputs * 0, hard) + hard.float().mean()

    def score(self, outputs: np.ndarray, targets: np.ndarray) -> Mapping[str, float]:
        return {"accuracy": 1 - super().score(outputs, targets)["accuracy"]}

    def score_resampled(self, outputs: np.ndarray, targets: np.ndarray, counts: np.ndarray) -> Mapping[str, np.ndarray]:
        return {"accuracy": np.full(len(counts), self.score(outputs, targets)["accuracy"])}  # of all, whatever is drawn


@pytest.mark.parametrize("check", CHECKS)
def test_each_check_fails_on_a_task_that_breaks_its_rule(check: Callable[[Make], None]) -> None:
    with pytest.raises(AssertionError):
        check(_Wrong)
