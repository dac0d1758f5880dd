"""An image file becomes the same input, bit by bit, as in the task's own data sets."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from sklearn.datasets import load_digits
from timm.data import create_transform

from nas.tasks import Task
from nas.tasks.digits import Digits
from nas.tasks.image_folder import ImageFolder
from nas.tasks.images import Normalisation
from nas.tasks.preparation import normalized, prepare_file, resized
from nas.tasks.shapes import Shapes
from nas.tasks.transforms import preparation

SIZES = [(40, 40), (41, 67), (67, 41), (500, 333), (16, 17), (9, 200)]


def image(size: tuple[int, int], seed: int = 0) -> Image.Image:
    pixels = np.random.default_rng(seed).integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)
    return Image.fromarray(pixels)


@pytest.mark.parametrize("crop", [1.0, 0.875, 0.77])
def test_resizing_is_that_of_timm(crop: float) -> None:
    for edge in (16, 33):
        theirs = create_transform(
            input_size=(3, edge, edge), interpolation="bilinear", crop_pct=crop, is_training=False, normalize=False
        )
        for size in SIZES:
            found = resized(image(size), preparation((3, edge, edge), crop=crop))
            np.testing.assert_array_equal(found.transpose(2, 0, 1), theirs(image(size)).numpy(), err_msg=str(size))


@pytest.mark.parametrize("memory_mb", [0, 100])
def test_files_of_every_kind_are_read_like_the_task_reads_them(memory_mb: int, tmp_path: Path) -> None:
    photos = tmp_path / "photos"
    for name in ("a", "b"):
        (photos / name).mkdir(parents=True)
        for seed, size in enumerate(SIZES):
            image(size, seed).save(photos / name / f"{name}{seed}.jpg", quality=90)
    turned = Image.Exif()
    turned[0x0112] = 6
    image((50, 30), 7).save(photos / "a" / "turned.jpg", exif=turned)
    clear = image((40, 30), 8).convert("RGBA")
    clear.putalpha(Image.fromarray(np.tile(np.arange(40, dtype=np.uint8) * 6, (30, 1))))
    clear.save(photos / "a" / "clear.png")
    deep = np.random.default_rng(9).integers(0, 65536, (30, 44)).astype(np.uint16)
    Image.fromarray(deep).save(photos / "b" / "deep.png")
    image((30, 44), 10).convert("CMYK").save(photos / "b" / "cmyk.jpg")
    image((30, 44), 11).convert("P").save(photos / "b" / "palette.gif")
    task = ImageFolder(str(photos), image_size=24, crop=0.8, cache="", memory_mb=memory_mb)
    steps = task.preprocessing()
    count = 0
    for split in ("train", "validation", "test"):
        data, items = task.dataset(split), task._splits[split]  # type: ignore[arg-type, index]
        for index, item in enumerate(items):
            found = prepare_file(photos / item.path, steps)
            np.testing.assert_array_equal(found[0], data[index][0].numpy(), err_msg=str(item.path))
            count += 1
    assert count == 2 * len(SIZES) + 5


@pytest.mark.parametrize("size", [8, 20])
def test_digits(size: int, tmp_path: Path) -> None:
    task = Digits(image_size=size)
    data = task.dataset("test")
    inputs = {data[index][0].numpy().tobytes() for index in range(360)}
    images = np.rint(load_digits().images * (255 / 16)).astype(np.uint8)
    found = set()
    for pixels in images:
        Image.fromarray(pixels).save(tmp_path / "digit.png")
        found.add(prepare_file(tmp_path / "digit.png", task.preprocessing()).tobytes())
    assert inputs <= found


def test_shapes(tmp_path: Path) -> None:
    task: Task = Shapes(num_train=8, num_validation=8, num_test=8, cache="")
    data = task.dataset("test")
    for index, pixels in enumerate(task._labelled("test").images):  # type: ignore[attr-defined]
        Image.fromarray(pixels).save(tmp_path / "shape.png")
        found = prepare_file(tmp_path / "shape.png", task.preprocessing())
        np.testing.assert_array_equal(found[0], data[index][0].numpy())


def test_numpy_and_torch_round_alike() -> None:

    normalisation = Normalisation((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
    steps = {"divide_by": 255, "mean": list(normalisation.mean), "std": list(normalisation.std)}
    pixels = np.tile(np.arange(256, dtype=np.uint8)[None, :, None, None], (1, 1, 1, 3))
    expected = normalisation(torch.from_numpy(pixels.transpose(0, 3, 1, 2).copy())).numpy()
    np.testing.assert_array_equal(normalized(pixels, steps), expected)
