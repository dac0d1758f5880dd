from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from nas.errors import TaskError
from nas.tasks.image_files.layout import split_of
from nas.tasks.image_folder import ImageFolder


def fill(root: Path, *folders: str, count: int = 8) -> None:
    for place, folder in enumerate(folders):
        (root / folder).mkdir(parents=True, exist_ok=True)
        for number in range(count):
            Image.new("RGB", (9, 9), (20 * place, 5 * number, len(folder))).save(root / folder / f"{number}.png")


def both(*names: str) -> list[str]:
    return [f"{name}/{label}" for name in names for label in ("cat", "dog")]


def open_task(root: Path, **parameters: Any) -> ImageFolder:
    return ImageFolder(str(root), image_size=8, cache="", **parameters)


@pytest.mark.parametrize(
    ("name", "split"),
    [
        *(
            ("train", "train"),
            ("Train", "train"),
            ("TRAINING", "train"),
            ("training_set", "train"),
            ("trainset", "train"),
        ),
        *(
            ("trainset", "train"),
            ("train_images", "train"),
            ("TrainData", "train"),
            ("train2017", "train"),
            ("train-set", "train"),
        ),
        *(("Val", "validation"), ("validation", "validation"), ("valid", "validation"), ("dev", "validation")),
        *(("eval", "validation"), ("val2017", "validation"), ("ValidationSet", "validation")),
        *(("test", "test"), ("Testing", "test"), ("test_set", "test"), ("TestImages", "test")),
        *(
            ("trainer", None),
            ("cat", None),
            ("test tube", None),
            ("latest", None),
            ("contest", None),
            ("a_train", None),
        ),
    ],
)
def test_names_of_splits(name: str, split: str | None) -> None:
    assert split_of(name) == split


@pytest.mark.parametrize(
    ("train", "validation", "test"),
    [
        ("training_set", None, "test_set"),
        ("Train", None, "Test"),
        ("training", "val", None),
        ("train", "Val", "TEST"),
        ("TrainSet", "eval", "testing"),
        ("train_data", "dev", "test_data"),
    ],
)
def test_split_folders_are_no_classes(train: str, validation: str | None, test: str | None, tmp_path: Path) -> None:
    fill(tmp_path, *both(train), count=12)
    for name in (validation, test):
        if name:
            fill(tmp_path, *both(name), count=3)
    task = open_task(tmp_path)
    assert task.classes == ["cat", "dog"]
    counts = task.summary().counts
    assert counts["validation"] == ([3, 3] if validation else [2, 2])
    assert sum(sum(found) for found in counts.values()) == 24 + 6 * bool(validation) + 6 * bool(test)


def test_a_class_may_be_called_train(tmp_path: Path) -> None:
    fill(tmp_path, "train", "plane", "test")
    assert open_task(tmp_path).classes == ["plane", "test", "train"]


def test_below_the_classes_everything_counts(tmp_path: Path) -> None:
    fill(tmp_path, "cat/day/1", "cat/night", "dog")
    task = open_task(tmp_path)
    assert {split: sum(found) for split, found in task.summary().counts.items()} == {
        "train": 16,
        "validation": 4,
        "test": 4,
    }


@pytest.mark.parametrize(
    ("folders", "message"),
    [
        (both("seg_train", "seg_test"), "hold the same folders"),
        (["cat/train", "cat/test", "dog/train", "dog/test"], "every class holds folders named like splits"),
        (both("train", "final"), "'final' holds the same folders as 'train'"),
        (both("val", "validation", "train"), "'val' and 'validation' both mean validation"),
        (both("train", "Train"), "both mean train"),
        (both("test", "val"), "no folder is named like train"),
        ([*both("train"), "test"], "'test' has the name of a split and holds images, but no folders of classes"),
        (["train", "test"], "holds images, but no folders of classes"),
        ([*both("train"), "cat", "dog"], "is like a class"),
        (["train/day", "train", "plane"], "may be a split or a class"),
        (both("photos"), "the only folder is 'photos', which holds cat, dog"),
        ([""], "its images lie in no folder"),
    ],
)
def test_what_can_be_read_in_two_ways_is_refused(folders: list[str], message: str, tmp_path: Path) -> None:
    fill(tmp_path, *folders)
    with pytest.raises(TaskError, match=message) as caught:
        open_task(tmp_path)
    assert "PATH/train/<class>" in str(caught.value)


def test_the_plan_names_the_splits(tmp_path: Path) -> None:
    fill(tmp_path, *both("seg_train/seg_train", "seg_test/seg_test"))
    task = open_task(tmp_path, splits={"train": "seg_train/seg_train", "test": "seg_test/seg_test"})
    assert task.classes == ["cat", "dog"]
    assert task.summary().counts["test"] == [8, 8]
    assert open_task(tmp_path, splits="none").classes == ["seg_test", "seg_train"]


@pytest.mark.parametrize(
    ("splits", "message"),
    [
        ({"train": "nowhere"}, "no such folder"),
        ({"train": "../other"}, "no such folder"),
        ({"test": "train"}, "names no train"),
        ({"train": "train", "dev": "train"}, "unknown 'dev'"),
        (["train"], "allowed"),
        ({"train": 3}, "allowed"),
    ],
)
def test_splits_that_are_none(splits: Any, message: str, tmp_path: Path) -> None:
    fill(tmp_path, *both("train"))
    with pytest.raises(TaskError, match=message):
        open_task(tmp_path, splits=splits)


def test_folders_and_images_beside_are_said(tmp_path: Path) -> None:
    fill(tmp_path, *both("train", "test"), "unlabelled", "train")
    notes = " ".join(open_task(tmp_path).summary().notes)
    assert "'unlabelled' beside the splits is left out" in notes
    assert "8 × images outside of class folders, such as train/0.png" in notes


def test_empty_classes_are_named(tmp_path: Path) -> None:
    fill(tmp_path, "cat", "dog")
    (tmp_path / "hen").mkdir()
    with pytest.raises(TaskError, match="without usable images: hen"):
        open_task(tmp_path)


def test_classes_missing_from_a_split_are_named(tmp_path: Path) -> None:
    fill(tmp_path, *both("train"), "test/cat")
    with pytest.raises(TaskError, match=r"classes of the splits differ: dog have no images in test \(.*test\)"):
        open_task(tmp_path)
