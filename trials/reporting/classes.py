"""The confusion of classes by a candidate, as rows of a table."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from nas.foreign import line

#: Largest number of predicted classes listed in a row, most frequent first.
MAX_NAMED = 5


def confusion_rows(confusion: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return one row per class: its number of examples, and the predicted classes, most frequent first."""
    classes = confusion["classes"]
    rows = []
    for name, counts in zip(classes, confusion["matrix"], strict=True):
        order = sorted((place for place, count in enumerate(counts) if count), key=lambda place: -counts[place])
        taken = ", ".join(f"{line(classes[place])} {counts[place]}" for place in order[:MAX_NAMED])
        rows.append({"class": line(name), "examples": sum(counts), "answered as": taken or "–"})
    return rows
