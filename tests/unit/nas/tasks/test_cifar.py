from __future__ import annotations

import hashlib
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from nas.errors import TaskError
from nas.tasks.cifar import NORMALISATION, Cifar10
from nas.tasks.preparation import prepare_file

IMAGES = np.random.default_rng(0).integers(0, 256, (100, 3072), dtype=np.uint8)
LABELS = [number % 10 for number in range(100)]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The published layout with a few test images, whose checksums are the expected ones."""
    source = Cifar10.source
    base = tmp_path / source.base_folder
    base.mkdir()

    def write(name: str, content: dict[str, Any]) -> list[str]:
        data = pickle.dumps(content)
        (base / name).write_bytes(data)
        return [name, hashlib.md5(data, usedforsecurity=False).hexdigest()]

    batches = [write("data_batch_1", {"data": IMAGES, "labels": LABELS})]
    monkeypatch.setattr(source, "train_list", batches)
    monkeypatch.setattr(source, "test_list", [write("test_batch", {"data": IMAGES[:20], "labels": LABELS[:20]})])
    names = write("batches.meta", {"label_names": list("abcdefghij")})
    monkeypatch.setattr(source, "meta", {"filename": names[0], "key": "label_names", "md5": names[1]})
    return tmp_path


def test_images_are_those_of_the_files(folder: Path) -> None:
    task = Cifar10(str(folder), num_validation=20)
    sizes = [len(task.dataset(split)) for split in ("train", "validation", "test")]  # type: ignore[arg-type]
    assert sizes == [80, 20, 20]
    inputs, target = task.dataset("test")[3]
    mean, std = torch.tensor(NORMALISATION.mean).view(3, 1, 1), torch.tensor(NORMALISATION.std).view(3, 1, 1)
    pixels = torch.tensor(IMAGES[3].reshape(3, 32, 32)) / 255
    torch.testing.assert_close(inputs, (pixels - mean) / std, atol=1e-5, rtol=0)
    assert target == 3


def test_validation_is_stratified(folder: Path) -> None:
    data = Cifar10(str(folder), num_validation=20).dataset("validation")
    assert np.bincount([int(data[index][1]) for index in range(20)]).tolist() == [2] * 10


def test_another_size(folder: Path) -> None:
    task = Cifar10(str(folder), image_size=16, num_validation=20)
    assert task.dataset("train")[0][0].shape == (3, 16, 16)
    assert task.dataset("train", augment=True)[0][0].shape == (3, 16, 16)


@pytest.mark.parametrize("size", [32, 48])
def test_an_image_file_becomes_the_same_input(size: int, folder: Path, tmp_path: Path) -> None:
    task = Cifar10(str(folder), image_size=size, num_validation=20)
    data = task.dataset("test")
    for index, pixels in enumerate(Cifar10.source(folder, train=False).data[:5]):
        Image.fromarray(pixels).save(tmp_path / "image.png")
        found = prepare_file(tmp_path / "image.png", task.preprocessing())
        np.testing.assert_array_equal(found[0], data[index][0].numpy())


def test_files_that_are_not_the_published_ones_are_not_opened(folder: Path) -> None:
    with (folder / Cifar10.source.base_folder / "data_batch_1").open("ab") as file:
        file.write(b"x")
    with pytest.raises(TaskError, match="not the published ones: data_batch_1 missing, cut off or changed"):
        Cifar10(str(folder))


def test_nothing_is_downloaded_unless_asked(tmp_path: Path) -> None:
    with pytest.raises(TaskError, match=r"no cifar-10-batches-py in .*unpack cifar-10-python.tar.gz \(https://"):
        Cifar10(str(tmp_path / "absent"))
    assert not (tmp_path / "absent").exists()


def test_a_download_that_fails_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Cifar10.source, "url", f"file://{tmp_path}/absent.tar.gz")
    with pytest.raises(TaskError, match=r"download into .* failed"):
        Cifar10(str(tmp_path / "data"), download=True)


@pytest.mark.parametrize("parameters", [{"image_size": 4}, {"num_validation": 0}, {"download": "yes"}, {"seed": -1}])
def test_wrong_parameters(parameters: dict[str, Any], tmp_path: Path) -> None:
    with pytest.raises(TaskError, match=rf"cifar10: {next(iter(parameters))}"):
        Cifar10(str(tmp_path), **parameters)
