from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from nas.errors import TaskError
from nas.tasks import Split
from nas.tasks.shape_images import SHAPES, Factors, draw
from nas.tasks.shapes import Shapes, ShapesSegmentation

FEW = {"num_train": 40, "num_validation": 24, "num_test": 16}


def all_of(task: Any, split: Split) -> tuple[torch.Tensor, torch.Tensor]:
    data = task.dataset(split)
    found: tuple[torch.Tensor, torch.Tensor] = data.batch(torch.arange(len(data)))
    return found


@pytest.mark.parametrize("difficulty", [0.0, 0.5, 1.0])
def test_every_image_shows_its_shape(difficulty: float) -> None:
    images, classes, masks = draw(160, 32, Factors.of(difficulty), 0)
    assert np.bincount(classes).tolist() == [20] * len(SHAPES)
    assert images.shape == (160, 32, 32, 3)
    assert images.dtype == np.uint8
    assert masks.sum(axis=(1, 2)).min() >= 5
    assert (masks.mean(axis=(1, 2)) < 0.7).all()


def test_without_difficulty_the_shape_stands_out() -> None:
    images, classes, masks = draw(80, 32, Factors.of(0), 0)
    for image, mask in zip(images.astype(float), masks, strict=True):
        inside, outside = image[mask].mean(axis=0), image[~mask].mean(axis=0)
        assert np.linalg.norm(inside - outside) > 100
    areas = np.array([masks[classes == number].mean() for number in range(len(SHAPES))])
    assert areas[SHAPES.index("disk")] > areas[SHAPES.index("ring")] > 0
    assert areas[SHAPES.index("square")] > areas[SHAPES.index("star")]


@pytest.mark.parametrize("factor", ["rotation", "scale", "colour", "clutter", "noise", "occlusion"])
def test_each_factor_changes_the_images(factor: str) -> None:
    value = 5 if factor == "clutter" else 0.5
    plain = Shapes(**FEW, difficulty=0, cache="")
    changed = Shapes(**FEW, difficulty=0, factors={factor: value}, cache="")
    assert not torch.equal(all_of(plain, "train")[0], all_of(changed, "train")[0])
    assert plain.fingerprint() != changed.fingerprint()


def test_the_same_everywhere() -> None:
    """A fingerprint identifies the drawn images: a change of the drawing must raise its version."""
    images, classes, masks = draw(64, 32, Factors.of(0.5), 7)
    assert classes[:8].tolist() == [0, 3, 6, 2, 3, 5, 1, 4]
    assert images.mean() == pytest.approx(128.348, abs=0.01)
    assert int(masks.sum()) == pytest.approx(15_279, abs=3)


def test_drawn_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = all_of(Shapes(**FEW, cache=str(tmp_path)), "train")
    assert len(list(tmp_path.iterdir())) == 1, "no other split is drawn, and no partial file is left"
    monkeypatch.setattr("nas.tasks.shape_source.draw", None)
    again = all_of(Shapes(**FEW, cache=str(tmp_path)), "train")
    assert torch.equal(first[0], again[0])
    assert torch.equal(first[1], again[1])
    with pytest.raises(TypeError):
        all_of(Shapes(**FEW, seed=1, cache=str(tmp_path)), "train")


@pytest.mark.parametrize("content", [b"", b"torn", None])
def test_a_torn_cache_is_drawn_again(content: bytes | None, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    expected = all_of(Shapes(**FEW, cache=str(tmp_path)), "train")[0]
    (path,) = tmp_path.iterdir()
    path.write_bytes(path.read_bytes()[:2000] if content is None else content)
    with caplog.at_level(logging.WARNING):
        assert torch.equal(all_of(Shapes(**FEW, cache=str(tmp_path)), "train")[0], expected)
    assert "drawn again" in caplog.text
    caplog.clear()
    all_of(Shapes(**FEW, cache=str(tmp_path)), "train")
    assert not caplog.records


def test_a_cache_that_cannot_be_written_is_none(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "file").write_text("")
    assert len(all_of(Shapes(**FEW, cache=str(tmp_path / "file")), "test")[0]) == 16
    assert "can't be written" in caplog.text


@pytest.mark.parametrize("task", [Shapes, ShapesSegmentation])
@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"image_size": 8}, "image_size: 8; allowed: a whole number from 16 to 256"),
        ({"difficulty": 1.5}, "difficulty: 1.5; allowed: a number from 0 to 1"),
        ({"num_validation": 0}, "num_validation: 0"),
        ({"factors": {"noize": 0.1}}, "unknown factor 'noize'; did you mean 'noise'"),
        ({"factors": {"scale": 1.0}}, "factors: scale: 1.0; allowed: a number from 0 to 0.9"),
        ({"factors": 3}, "factors 3; allowed: a mapping"),
        ({"seed": 0.5}, "seed: 0.5"),
    ],
)
def test_wrong_parameters(task: type, parameters: dict[str, Any], message: str) -> None:
    with pytest.raises(TaskError, match=message):
        task(**parameters)


def test_pixels_of_the_shape_have_its_class() -> None:
    pixels, classes = ShapesSegmentation(**FEW, cache=""), Shapes(**FEW, difficulty=0.3, cache="")
    (inputs, maps), (images, shapes) = all_of(pixels, "train"), all_of(classes, "train")
    assert torch.equal(inputs, images)
    for found, shape in zip(maps, shapes, strict=True):
        assert set(found.unique().tolist()) == {0, int(shape) + 1}


def test_segmentation_scores_by_hand() -> None:
    task = ShapesSegmentation(cache="")
    targets = np.array([[[0, 0], [1, 1]]])
    answers = np.array([[[0, 1], [1, 2]]])
    logits = np.moveaxis(np.eye(9)[answers], -1, 1)
    # Class 0: 1 of 2 pixels; class 1: 1 of 3; class 2: 0 of 1; six classes occur neither in targets nor in answers.
    assert task.score(logits, targets) == pytest.approx({"mean_iou": (1 / 2 + 1 / 3 + 0) / 3, "pixel_accuracy": 0.5})


@pytest.mark.parametrize("reduction", [1, 2, 8])
def test_a_segmentation_head_answers_at_full_size(reduction: int) -> None:
    head = ShapesSegmentation(cache="").head(4, reduction)
    assert head(torch.randn(2, 4, 32 // reduction, 32 // reduction)).shape == (2, 9, 32, 32)
