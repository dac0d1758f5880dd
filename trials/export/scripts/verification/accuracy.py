"""The accuracy of an exported network on images of the user."""

import json
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from trials.export.scripts.run import outputs_of
from trials.export.scripts.verification.lines import Line, line

Run = Callable[[np.ndarray], np.ndarray]


class NoImagesError(ValueError):
    """A folder of images can't be used; the message says why and what to give."""


def check_data(folder: Path, data: Path | None) -> None:
    """Check that ``data`` has a folder for at least one class of the network in ``folder``.

    Raises:
        NoImagesError: it has none, or does not exist.
    """
    if data is None:
        return
    if not data.is_dir():
        raise NoImagesError(f"--data {data} does not exist; give a folder")
    try:
        steps = json.loads((folder / "preprocessing.json").read_text(encoding="utf-8"))
        labels = list(steps["labels"]) if "channels" in steps else []
    except (OSError, ValueError, KeyError, TypeError):  # the verification reports what is wrong with the file
        return
    found = sorted(path.name for path in data.iterdir() if path.is_dir())
    if labels and not set(labels) & set(found):
        raise NoImagesError(
            f"--data {data} has no folder named like a class; found: {_some(found)}; expected: {_some(labels)}"
        )


def _some(names: Sequence[str]) -> str:
    return ", ".join([*names[:8], *(["…"] if len(names) > 8 else [])]) or "no folder"


def accuracy_line(run: Run, data: Path, steps: dict[str, Any], scores: dict[str, dict[str, float]]) -> Line:
    """Compare the accuracy on images in ``data/<class>/`` with that on the test split."""
    if "channels" not in steps or not steps["labels"]:
        return line("accuracy", "not judged", "the network does not sort images into classes")
    try:
        from nas.tasks.preparation import prepare_file
    except ImportError:
        return line("accuracy", "not judged", "Pillow is not installed", "pip install pillow")
    files = [
        (path, place)
        for place, label in enumerate(steps["labels"])
        for path in sorted((data / label).glob("*"))
        if path.is_file()
    ]
    prepare, batch = partial(prepare_file, steps=steps), steps["input"]["shape"][0]
    right, count = _counts(run, files, prepare, batch)
    if not count:
        reason = f"allowed: image files in folders named {_some(steps['labels'])}"
        return line("accuracy", "fail", f"{data} contains no image", reason)
    found, recorded = right / count, scores["test"].get("accuracy")
    skipped = f" (files without an image: {len(files) - count})" if len(files) > count else ""
    text = f"{found:.4f} on {count} image{'s' * (count != 1)}{skipped}"
    if recorded is None:
        return line("accuracy", "not judged", text, "the export has no accuracy")
    margin = 1.96 * np.sqrt(max(recorded * (1 - recorded), 0.25 / count) / count)
    text = f"{text}, {recorded:.4f} on the test split of the export"
    if found >= recorded - margin:
        return line("accuracy", "pass", text)
    if steps["input"]["shape"][1] == 3:
        swapped = _counts(run, files, prepare, batch, reverse=True)[0] / count
        if swapped >= recorded - margin:
            return line(
                "accuracy", "fail", text, f"with red and blue exchanged it is {swapped:.4f}: the images are BGR"
            )
    reason = "the images differ from those of the task, or the network or its labels were changed"
    return line("accuracy", "fail", text, reason)


def _counts(
    run: Run,
    files: Sequence[tuple[Path, int]],
    prepare: Callable[[Path], np.ndarray],
    batch: int,
    *,
    reverse: bool = False,
) -> tuple[int, int]:
    """Number of right answers and of images; a batch of images is in memory at once.

    Args:
        run: the network.
        files: files with their classes; those that are not images do not count.
        prepare: turns an image file into an input.
        batch: number of inputs that the network takes.
        reverse: exchange red and blue.
    """
    right = count = 0
    for start in range(0, len(files), batch):
        inputs, targets = [], []
        for path, target in files[start : start + batch]:
            try:
                inputs.append(prepare(path))
            except Exception:  # decoders raise errors of every kind on files that are not images
                continue
            targets.append(target)
        if inputs:
            stacked = np.concatenate(inputs)
            answers = outputs_of(run, stacked[:, ::-1] if reverse else stacked, batch).argmax(axis=1)
            right, count = right + int((answers == np.array(targets)).sum()), count + len(targets)
    return right, count
