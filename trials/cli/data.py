"""What a task's data are, on the screen."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from nas.tasks import SPLITS, DataSummary
from trials.cli.console import out
from trials.cli.options import print_rows

#: With more classes than these, the smallest and the largest stand for all.
MAX_CLASSES = 30


def print_data(data: DataSummary) -> None:
    """Classes, examples of each split, sizes of images, files that are not used."""
    print_rows(list(_rows(data)), as_json=False)
    for line in _lines(data):
        out.print(line)


def _rows(data: DataSummary) -> Iterator[dict[str, Any]]:
    yield {"class": f"all {len(data.classes)}", **{split: sum(data.counts[split]) for split in SPLITS}}
    order = range(len(data.classes))
    if len(data.classes) > MAX_CLASSES:
        by_size = sorted(order, key=lambda place: data.counts["train"][place])
        order = [by_size[0], by_size[-1]]  # type: ignore[assignment]
    for place in order:
        yield {"class": data.classes[place], **{split: data.counts[split][place] for split in SPLITS}}


def _lines(data: DataSummary) -> Iterator[str]:
    if data.sizes:
        sizes = ", ".join(f"{name} {width}×{height}" for name, (width, height) in data.sizes.items())
        yield f"image sizes: {sizes}"
    yield from data.notes
    for path, why in data.skipped.items():
        yield f"skipped: {path}: {why}"
