"""How a candidate tells the classes apart, as rows of a table."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from nas.foreign import line

#: Classes named in a row, the most frequent ones.
MAX_NAMED = 5


def confusion_rows(confusion: Mapping[str, Any]) -> list[dict[str, Any]]:
    """A line a class: its validation examples, and the classes they were taken for, the most frequent first."""
    classes = confusion["classes"]
    rows = []
    for name, counts in zip(classes, confusion["matrix"], strict=True):
        order = sorted((place for place, count in enumerate(counts) if count), key=lambda place: -counts[place])
        taken = ", ".join(f"{line(classes[place])} {counts[place]}" for place in order[:MAX_NAMED])
        rows.append({"class": line(name), "examples": sum(counts), "answered as": taken or "–"})
    return rows
