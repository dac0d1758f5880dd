"""Compares every key of ``preprocessing.json`` with what the export recorded."""

import json
from collections.abc import Iterator
from typing import Any

from trials.export.scripts.verification.lines import Line, line


def step_lines(steps: dict[str, Any], report: dict[str, Any]) -> Iterator[Line]:
    """A line for each key that was changed; golden pixels can't show all of them, because they are resized already."""
    if "preprocessing" not in report:  # exports of older versions
        return
    before, now = dict(_flat(report["preprocessing"])), dict(_flat(steps))
    changed = [key for key in {**before, **now} if before.get(key) != now.get(key)]
    for key in changed:
        texts = [_text(values[key]) if key in values else "missing" for values in (now, before)]
        found = f"{key} is {texts[0]}, but was {texts[1]}"
        yield line(f"preprocessing.json {key}", "fail", found, "it was changed after the export")
    if not changed:
        yield line("preprocessing.json", "pass", f"{len(now)} values are as exported")


def _flat(values: dict[str, Any], place: str = "") -> Iterator[tuple[str, Any]]:
    """Keys of nested mappings, joined by dots, with their values."""
    for key, value in values.items():
        if isinstance(value, dict):
            yield from _flat(value, f"{place}{key}.")
        else:
            yield f"{place}{key}", value


def _text(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 80 else f"{text[:80]} …"
