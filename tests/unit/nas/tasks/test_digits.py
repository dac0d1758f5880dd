from __future__ import annotations

import random
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from sklearn.datasets import load_digits

from nas.errors import TaskError
from nas.tasks.digits import Digits


def test_sizes_and_classes() -> None:
    task = Digits()
    splits = {split: task.dataset(split) for split in ("train", "validation", "test")}
    assert {split: len(data) for split, data in splits.items()} == {"train": 1078, "validation": 359, "test": 360}  # type: ignore[arg-type]
    for data in splits.values():
        share = np.bincount([int(target) for _, target in data]) / len(data)  # type: ignore[arg-type,attr-defined]
        assert share == pytest.approx(np.full(10, 0.1), abs=0.01)


@pytest.mark.parametrize("size", [8, 16, 64])
def test_inputs_are_scaled_and_normalised(size: int) -> None:
    inputs, _ = Digits(image_size=size).dataset("train").batch(torch.arange(1078))  # type: ignore[attr-defined]
    assert inputs.shape == (1078, 1, size, size)
    assert abs(float(inputs.mean())) < 0.1
    assert 0.7 < float(inputs.std()) < 1.3


def test_an_input_is_made_as_documented() -> None:
    task = Digits(image_size=20)
    said = task.preprocessing()
    assert said["resize"] == {"shorter_side": 20, "interpolation": "bilinear", "antialias": True}
    images = [Image.fromarray(np.rint(image * 255 / 16).astype(np.uint8)) for image in load_digits().images]
    resized = np.stack([np.asarray(image.resize((20, 20), Image.Resampling.BILINEAR)) for image in images])
    known = {image.tobytes() for image in resized}
    for inputs, _ in task.dataset("validation"):  # type: ignore[attr-defined]
        pixels = np.rint((inputs[0].numpy() * said["std"][0] + said["mean"][0]) * 255).astype(np.uint8)
        assert pixels.tobytes() in known


def test_no_augmentation_unless_asked() -> None:
    task = Digits()
    assert task.dataset("train", augment=True) is task.dataset("train")


def test_augmentation_draws_from_the_global_generators() -> None:
    task = Digits(augmentation=True)
    data = task.dataset("train", augment=True)

    def drawn(seed: int) -> torch.Tensor:
        random.seed(seed)
        torch.manual_seed(seed)
        return torch.stack([data[index][0] for index in range(8)])

    with torch.random.fork_rng():
        assert torch.equal(drawn(1), drawn(1))
        assert not torch.equal(drawn(1), drawn(2))
    plain = task.dataset("train")
    assert all(data[index][1] == plain[index][1] for index in range(8))


def test_the_fingerprint_tells_what_networks_see() -> None:
    prints = [
        Digits(**parameters).fingerprint()  # type: ignore[arg-type]
        for parameters in ({}, {"image_size": 8}, {"seed": 1}, {"augmentation": True}, {"augmentation": {"hflip": 0.5}})
    ]
    assert len(set(prints)) == len(prints)
    assert Digits().fingerprint() == Digits(image_size=16, augmentation=False, seed=0).fingerprint()


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"image_size": 4}, "image_size: 4; allowed: a whole number from 8 to 64"),
        ({"image_size": "big"}, "image_size: 'big'"),
        ({"image_size": True}, "image_size: True"),
        ({"seed": -1}, "seed: -1"),
        ({"augmentation": {"hflipp": 0.5}}, "unknown 'hflipp'; did you mean 'hflip'"),
        ({"augmentation": {"train_crop_mode": "no"}}, "create_transform refuses"),
        ({"augmentation": "strong"}, "'strong'; allowed: true, false"),
    ],
)
def test_wrong_parameters(parameters: dict[str, Any], message: str) -> None:
    with pytest.raises(TaskError, match=message):
        Digits(**parameters)


@pytest.mark.parametrize(
    "settings",
    [
        {"hflip": 0.5, "color_jitter": 0.2},
        {"auto_augment": "rand-m5-n2"},
        {"train_crop_mode": "rkrr"},
        {"re_prob": 1.0, "re_mode": "pixel"},
    ],
)
def test_any_of_timms_augmentations(settings: dict[str, Any]) -> None:
    data = Digits(augmentation=settings).dataset("train", augment=True)
    assert all(data[index][0].shape == (1, 16, 16) for index in range(20))


def test_a_head_pools_as_it_is_told() -> None:
    task, features = Digits(), torch.tensor([[[[1.0, 5.0]]]])
    assert task.head(1, 1, pool="max")[0](features).item() == 5  # type: ignore[index]
    assert task.head(1, 1, pool="avg")[0](features).item() == 3  # type: ignore[index]
    with pytest.raises(TaskError, match="pool 'mean'; allowed: avg, max"):
        task.head(1, 1, pool="mean")
