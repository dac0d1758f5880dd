from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from nas.errors import TaskError
from nas.tasks.image_folder import ImageFolder


def write(folder: Path, classes: tuple[str, ...] = ("a", "b"), count: int = 20, mode: str = "RGB") -> Path:
    random = np.random.default_rng(len(folder.name))
    for name in classes:
        (folder / name).mkdir(parents=True, exist_ok=True)
        for number in range(count):
            image = Image.fromarray(random.integers(0, 256, (20, 28, 3), dtype=np.uint8)).convert(mode)
            image.save(folder / name / f"{number}.png")
    return folder


def sizes(task: ImageFolder) -> tuple[int, int, int]:
    found = [len(task.dataset(split)) for split in ("train", "validation", "test")]  # type: ignore[arg-type]
    return found[0], found[1], found[2]


def test_one_folder_is_split_by_class(tmp_path: Path) -> None:
    task = ImageFolder(str(write(tmp_path)), image_size=16, validation_share=0.2, test_share=0.1)
    assert sizes(task) == (28, 8, 4)
    assert task.classes == ["a", "b"]
    targets = [int(target) for _, target in task.dataset("validation")]  # type: ignore[attr-defined]
    assert np.bincount(targets).tolist() == [4, 4]


@pytest.mark.parametrize("validation", ["val", "validation", "valid"])
def test_folders_are_the_splits(validation: str, tmp_path: Path) -> None:
    for name, count in (("train", 9), (validation, 4), ("test", 3)):
        write(tmp_path / name, count=count)
    assert sizes(ImageFolder(str(tmp_path), image_size=16)) == (18, 8, 6)


def test_a_missing_split_is_drawn_from_train(tmp_path: Path) -> None:
    write(tmp_path / "train")
    write(tmp_path / "val", count=5)
    assert sizes(ImageFolder(str(tmp_path), image_size=16, test_share=0.25)) == (30, 10, 10)


def test_decoded_once_or_every_time_is_the_same(tmp_path: Path) -> None:
    write(tmp_path)
    once, every_time = (ImageFolder(str(tmp_path), image_size=16, memory_mb=size) for size in (512, 0))
    for ours, theirs in zip(once.dataset("test"), every_time.dataset("test"), strict=True):  # type: ignore[call-overload]
        torch.testing.assert_close(ours[0], theirs[0], atol=1e-5, rtol=0)
        assert ours[1] == theirs[1]


@pytest.mark.parametrize("mode", ["L", "RGBA", "P"])
def test_images_of_other_modes_become_colour(mode: str, tmp_path: Path) -> None:
    inputs, _ = ImageFolder(str(write(tmp_path, mode=mode)), image_size=16).dataset("train", augment=True)[0]
    assert inputs.shape == (3, 16, 16)


def test_the_fingerprint_follows_the_files(tmp_path: Path) -> None:
    write(tmp_path)
    before = ImageFolder(str(tmp_path)).fingerprint()
    moved = tmp_path.rename(tmp_path.with_name("elsewhere"))
    assert ImageFolder(str(moved)).fingerprint() == before
    Image.new("RGB", (20, 28)).save(moved / "a" / "3.png")
    assert ImageFolder(str(moved)).fingerprint() != before


def test_nothing_there(tmp_path: Path) -> None:
    with pytest.raises(TaskError, match=r"no folder .*absent; put images there as PATH/train/<class>"):
        ImageFolder(str(tmp_path / "absent"))
    with pytest.raises(TaskError, match="no path"):
        ImageFolder()
    with pytest.raises(TaskError, match="holds no images in class folders"):
        ImageFolder(str(tmp_path))
    (tmp_path / "empty").mkdir()
    with pytest.raises(TaskError, match="holds no images in class folders"):
        ImageFolder(str(tmp_path))


def test_one_class_is_none(tmp_path: Path) -> None:
    with pytest.raises(TaskError, match="holds one class, 'a'"):
        ImageFolder(str(write(tmp_path, ("a",))))


def test_classes_of_splits_that_differ(tmp_path: Path) -> None:
    write(tmp_path / "train")
    write(tmp_path / "val", ("a", "c"))
    with pytest.raises(TaskError, match="classes of the splits differ: c have no images in train"):
        ImageFolder(str(tmp_path))


def test_too_few_to_split(tmp_path: Path) -> None:
    with pytest.raises(TaskError, match="Every class needs an item in each part"):
        ImageFolder(str(write(tmp_path, count=2)))


def test_a_file_that_is_no_image(tmp_path: Path) -> None:
    for path in (write(tmp_path) / "b").iterdir():
        path.write_bytes(b"no image")
    with pytest.raises(TaskError, match=r"b/\d+\.png: its content is not a readable image"):
        ImageFolder(str(tmp_path), image_size=16)
