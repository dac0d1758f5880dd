"""Print a summary of a task's data."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from nas.tasks import SPLITS, DataSummary
from trials.cli.console import out
from trials.cli.options import print_rows

#: If there are more classes, only the smallest and the largest are printed.
MAX_CLASSES = 30


def print_data(data: DataSummary) -> None:
    """Print classes, the number of examples in each split, image sizes, and skipped files."""
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
