"""Files as cameras and programs write them: each kind is read by a rule, or reported before anything is spent."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image, ImageCms

from nas.errors import TaskError
from nas.tasks.image_files.reading import Note, read_image
from nas.tasks.image_folder import ImageFolder
from tests.unit.nas.tasks.image_files.test_layout import fill


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    fill(tmp_path / "images", "cat", "dog", count=10)
    return tmp_path / "images"


def open_task(root: Path, **parameters: Any) -> ImageFolder:
    return ImageFolder(str(root), **{"image_size": 8, "cache": "", **parameters})


def pixel(path: Path, **parameters: Any) -> tuple[int, ...]:
    decoded = read_image(path, **parameters).image
    assert decoded.mode == "RGB"
    value = decoded.getpixel((0, 0))
    assert isinstance(value, tuple)
    return value


def deep(path: Path, dtype: Any, value: float, **how: Any) -> Path:
    Image.fromarray(np.full((4, 4), value, dtype=dtype)).save(path, **how)
    return path


@pytest.mark.parametrize("suffix", ["png", "tif", "pgm"])
def test_16_bits_are_scaled(suffix: str, tmp_path: Path) -> None:
    path = deep(tmp_path / f"a.{suffix}", np.uint16, 32_896)
    assert pixel(path) == (128, 128, 128)
    assert read_image(path).notes == (Note.DEEP,)
    assert pixel(path, white=40_000) == (210, 210, 210)


def test_big_endian_and_white_is_zero(tmp_path: Path) -> None:
    image = Image.fromarray(np.full((4, 4), 32_896 // 2, dtype=np.uint16))
    image.save(tmp_path / "a.tif", tiffinfo={262: 0})
    assert pixel(tmp_path / "a.tif") == (191, 191, 191)


def test_floats_from_0_to_1_are_scaled_and_others_need_white(tmp_path: Path) -> None:
    assert pixel(deep(tmp_path / "a.tif", np.float32, 0.5)) == (128, 128, 128)
    large = deep(tmp_path / "b.tif", np.float32, 51.0)
    with pytest.raises(TaskError, match=r"floating-point numbers from 51 to 51.*set white:"):
        read_image(large)
    assert pixel(large, white=255) == (51, 51, 51)
    with pytest.raises(TaskError, match="from -1 to"):
        read_image(deep(tmp_path / "c.tif", np.float32, -1.0), 255)
    with pytest.raises(TaskError, match="not finite"):
        read_image(deep(tmp_path / "d.tif", np.float32, np.nan))


def test_32_bits_need_white(tmp_path: Path) -> None:
    path = deep(tmp_path / "a.tif", np.int32, 30_000)
    with pytest.raises(TaskError, match=r"whole numbers from 30000 to 30000.*set white:"):
        read_image(path)
    assert pixel(path, white=60_000) == (128, 128, 128)


def test_16_bit_classes_can_be_told_apart(tmp_path: Path) -> None:
    for name, grey in (("dark", 1000), ("bright", 31_000)):
        (tmp_path / name).mkdir()
        for number in range(10):
            deep(tmp_path / name / f"{number}.png", np.uint16, grey + number)
    task = open_task(tmp_path)
    inputs, targets = task.dataset("train").batch(torch.arange(14))  # type: ignore[attr-defined]
    assert inputs[targets == 0].mean() > inputs[targets == 1].mean() + 0.4
    assert any("20 images have more than 8 bits" in note for note in task.summary().notes)


def test_16_bit_classes_that_use_little_of_the_range_are_said(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        for number in range(10):
            deep(tmp_path / name / f"{number}.png", np.uint16, 3000 + number)
    assert any("3009" in note and "set white:" in note for note in open_task(tmp_path).summary().notes)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_orientation_is_honoured(orientation: int, tmp_path: Path) -> None:
    upright = Image.new("RGB", (16, 24), "blue")
    upright.paste("red", (0, 0, 8, 8))
    stored = {
        2: Image.Transpose.FLIP_LEFT_RIGHT,
        3: Image.Transpose.ROTATE_180,
        4: Image.Transpose.FLIP_TOP_BOTTOM,
        5: Image.Transpose.TRANSPOSE,
        6: Image.Transpose.ROTATE_90,
        7: Image.Transpose.TRANSVERSE,
        8: Image.Transpose.ROTATE_270,
    }
    exif = Image.Exif()
    exif[0x0112] = orientation
    image = upright.transpose(stored[orientation]) if orientation > 1 else upright
    image.save(tmp_path / "a.png", exif=exif)
    decoded = read_image(tmp_path / "a.png")
    assert decoded.image.tobytes() == upright.tobytes()
    assert decoded.notes == ((Note.TURNED,) if orientation > 1 else ())


@pytest.mark.parametrize(("mode", "clear"), [("RGBA", (0, 0, 0, 0)), ("LA", (0, 0))])
def test_transparency_is_laid_on_white(mode: str, clear: tuple[int, ...], tmp_path: Path) -> None:
    Image.new(mode, (4, 4), clear).save(tmp_path / "a.png")
    assert pixel(tmp_path / "a.png") == (255, 255, 255)
    assert read_image(tmp_path / "a.png").notes == (Note.ON_WHITE,)
    Image.new(mode, (4, 4), (*clear[:-1], 255)).save(tmp_path / "b.png")
    assert pixel(tmp_path / "b.png") == (0, 0, 0)
    assert read_image(tmp_path / "b.png").notes == ()


def test_palettes_and_key_colours(tmp_path: Path) -> None:
    palette = Image.new("P", (4, 4), 0)
    palette.putpalette([255, 0, 0, 0, 255, 0])
    palette.save(tmp_path / "a.png")
    assert pixel(tmp_path / "a.png") == (255, 0, 0)
    palette.save(tmp_path / "b.png", transparency=0)
    assert pixel(tmp_path / "b.png") == (255, 255, 255)
    Image.new("RGB", (4, 4), "black").save(tmp_path / "c.png", transparency=(0, 0, 0))
    assert pixel(tmp_path / "c.png") == (255, 255, 255)


def test_other_modes(tmp_path: Path) -> None:
    Image.new("CMYK", (4, 4), (0, 255, 255, 0)).save(tmp_path / "a.jpg")
    assert pixel(tmp_path / "a.jpg")[0] > 200
    assert read_image(tmp_path / "a.jpg").notes == (Note.CMYK,)
    Image.new("1", (4, 4), 1).save(tmp_path / "b.png")
    assert pixel(tmp_path / "b.png") == (255, 255, 255)
    frames = [Image.new("RGB", (4, 4), color) for color in ("red", "blue")]
    for suffix in ("gif", "tif", "webp"):
        frames[0].save(tmp_path / f"c.{suffix}", save_all=True, append_images=frames[1:])
        assert pixel(tmp_path / f"c.{suffix}")[0] > 200
        assert read_image(tmp_path / f"c.{suffix}").notes == (Note.FRAMES,)


def test_colour_profiles_are_said(tmp_path: Path) -> None:
    for name, profile in (("lab", "LAB"), ("srgb", "sRGB")):
        content = ImageCms.ImageCmsProfile(ImageCms.createProfile(profile)).tobytes()  # type: ignore[arg-type]
        Image.new("RGB", (4, 4)).save(tmp_path / f"{name}.png", icc_profile=content)
    assert read_image(tmp_path / "lab.png").notes == (Note.PROFILE,)
    assert read_image(tmp_path / "srgb.png").notes == ()


def spoil(kind: str, folder: Path) -> Path:
    path = folder / "dog" / "3.png"
    content = path.read_bytes()
    path.unlink()
    if kind == "cut":
        path.write_bytes(content[:45])
    elif kind == "empty":
        path.touch()
    elif kind == "text":
        path.write_text("no image")
    elif kind == "dangling":
        path.symlink_to("/nowhere/x.png")
    elif kind == "itself":
        path.symlink_to(path)
    elif kind == "pipe":
        os.mkfifo(path)
    elif kind == "foreign":
        path = path.with_suffix(".HEIC")
        path.write_bytes(b"x")
    elif kind == "across":
        path.symlink_to(folder / "cat" / "3.png")
    elif kind == "hard":
        os.link(folder / "cat" / "3.png", path)
    elif kind == "thin":
        Image.new("RGB", (60_000, 1)).save(path)
    return path


KINDS = ("cut", "empty", "text", "dangling", "itself", "pipe", "foreign", "across", "hard")


@pytest.mark.parametrize("kind", KINDS)
def test_files_that_cannot_be_used_are_refused_or_skipped(kind: str, folder: Path) -> None:
    path = spoil(kind, folder)
    with pytest.raises(TaskError, match=rf"dog/{path.name}") as caught:
        open_task(folder)
    assert "bad_files: skip" in str(caught.value)
    task = open_task(folder, bad_files="skip")
    skipped = task.summary().skipped
    assert f"dog/{path.name}" in skipped
    assert sum(map(sum, task.summary().counts.values())) == 20 - (2 if kind in ("across", "hard") else 1)
    for split in ("train", "validation", "test"):
        assert len(list(task.dataset(split)))  # type: ignore[call-overload]


def test_long_narrow_images_are_refused(folder: Path) -> None:
    spoil("thin", folder)
    with pytest.raises(TaskError, match="too long and narrow"):
        open_task(folder, image_size=64)


def test_a_bomb_is_found_without_decoding_it(folder: Path) -> None:
    Image.new("1", (16_000, 12_000)).save(folder / "dog" / "3.png")
    with pytest.raises(TaskError, match=r"dog/3.png: it claims to have more than 178,956,970 pixels"):
        open_task(folder)


def test_hidden_names_and_loops_count_for_nothing(folder: Path) -> None:
    before = open_task(folder).fingerprint()
    fill(folder, ".ipynb_checkpoints", "__MACOSX", "cat/.thumbs")
    for name in (".DS_Store", "Thumbs.db", "cat/._0.png", "dog/notes.txt"):
        (folder / name).write_text("x")
    (folder / "dog" / "up").symlink_to("..")
    (folder / "cat" / "self").symlink_to(".")
    (folder / "cat" / "again.png").symlink_to("0.png")
    (folder / "all").symlink_to("/")
    task = open_task(folder)
    assert task.fingerprint() == before
    notes = " ".join(task.summary().notes)
    assert "a link to a folder above it" in notes
    assert "files of the type .txt" in notes
    assert "further links to an image, such as cat/again.png" in notes


def test_one_file_in_two_splits_stays_in_test(tmp_path: Path) -> None:
    fill(tmp_path, "train/cat", "train/dog", "test/cat", "test/dog", count=9)
    os.link(tmp_path / "test/cat/0.png", tmp_path / "train/cat/x.png")
    with pytest.raises(TaskError, match=r"train/cat/x.png: the same file as test/cat/0.png, in another split"):
        open_task(tmp_path)
    assert open_task(tmp_path, bad_files="skip").summary().counts["test"] == [9, 9]


def test_copies_in_several_splits_are_said(tmp_path: Path) -> None:
    fill(tmp_path, "train/cat", "train/dog", "test/cat", "test/dog")
    (tmp_path / "train/cat/x.png").write_bytes((tmp_path / "test/cat/0.png").read_bytes())
    assert any("1 image is in several splits, as copies" in note for note in open_task(tmp_path).summary().notes)


def test_names_of_any_bytes(folder: Path) -> None:
    for number in range(10):
        target = os.fsencode(folder) + b"/h\xffn\n[b]/" + b"%d\xfe.png" % number
        os.makedirs(os.path.dirname(target), exist_ok=True)
        (folder / "cat" / f"{number}.png").rename(os.fsdecode(target))
    (folder / "cat").rmdir()
    task = open_task(folder)
    assert task.classes == ["dog", "h\\xffn\\n[b]"]
    assert len(task.fingerprint()) == 64
    assert len(list(task.dataset("train"))) == 14  # type: ignore[call-overload]


def test_a_second_process_decodes_only_what_changed(folder: Path, tmp_path: Path, caplog: Any) -> None:
    cache = str(tmp_path / "cache")
    first = open_task(folder, cache=cache).summary()
    kept = list(Path(cache).iterdir())
    assert len(kept) == 1
    written = kept[0].stat().st_mtime_ns
    assert open_task(folder, cache=cache).summary() == first
    assert kept[0].stat().st_mtime_ns == written
    (folder / "dog" / "3.png").write_bytes(b"")
    with pytest.raises(TaskError, match=r"dog/3.png: it is empty"):
        open_task(folder, cache=cache)
    kept[0].write_text("[]")
    with pytest.raises(TaskError, match=r"dog/3.png: it is empty"):
        open_task(folder, cache=cache)
    assert "can't be read" in caplog.text
