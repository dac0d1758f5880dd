"""How metrics and numbers are written for people: labels with units, a few digits."""

from __future__ import annotations

import math
from collections.abc import Mapping
from datetime import datetime

#: Ending of a metric's name → how its unit is written.
UNITS: Mapping[str, str] = {"_ms": "ms", "_s": "s", "_us": "µs", "_bytes": "B", "_mb": "MB", "_mj": "mJ"}

#: Words that are not written as they are spelled in names.
WORDS: Mapping[str, str] = {"macs": "MACs", "iou": "IoU", "auc": "AUC", "f1": "F1", "mae": "MAE"}

#: Names that say too little without their unit.
NAMES: Mapping[str, str] = {"nonzero_bytes": "nonzero_weights_bytes", "weight_bytes": "weights_bytes"}

_BINARY = ("B", "KiB", "MiB", "GiB", "TiB")


def unit(metric: str) -> str:
    """Unit of a metric, read off its name; empty where there is none."""
    name = metric.partition("@")[0]
    return next((symbol for ending, symbol in UNITS.items() if name.endswith(ending)), "")


def label(metric: str) -> str:
    """``latency_ms@pi`` → ``Latency at pi (ms)``."""
    name, _, target = metric.partition("@")
    name = NAMES.get(name, name)
    symbol = unit(metric)
    if symbol:
        name = name.rpartition("_")[0]
    words = [WORDS.get(word, word) for word in name.split("_")]
    text = " ".join(words)
    text = text[:1].upper() + text[1:]
    return text + (f" at {target}" if target else "") + (f" ({symbol})" if symbol else "")


def title(metric: str) -> str:
    """``latency_ms@pi`` → ``Latency at pi``: for where the unit stands beside the number."""
    return label(metric).partition(" (")[0]


def inline(metric: str) -> str:
    """``title`` within a sentence: ``latency at pi``; MACs and the like keep their capitals."""
    text = title(metric)
    return text if text[1:2].isupper() else text[:1].lower() + text[1:]


def goal(metric: str, direction: str) -> str:
    """A label that says which way is better: ``Accuracy · higher is better``."""
    ways = {"maximize": " · higher is better", "minimize": " · lower is better"}
    return label(metric) + ways.get(direction, "")


def number(metric: str, value: float | None) -> str:
    """A metric's value in a few digits, with its unit."""
    if value is None or math.isnan(value):
        return "—"
    symbol = unit(metric)
    if symbol == "B":
        return size(value)
    if metric in ("parameters", "macs") or (float(value).is_integer() and abs(value) >= 1000):
        return f"{value:,.0f}"
    return f"{value:.4g}" + (f" {symbol}" if symbol else "")


def interval(metric: str, value: float, low: float | None, high: float | None) -> str:
    """``0.312 ms [0.308, 0.317]``, or the bare number where no interval is known."""
    text = number(metric, value)
    if low is None or high is None or math.isnan(low) or math.isnan(high):
        return text
    return f"{text} [{low:.4g}, {high:.4g}]"


def size(num_bytes: float) -> str:
    """``1.4 MiB``."""
    for symbol in _BINARY:
        if abs(num_bytes) < 1024 or symbol == _BINARY[-1]:
            break
        num_bytes /= 1024
    return f"{num_bytes:.0f} {symbol}" if symbol == "B" else f"{num_bytes:.1f} {symbol}"


def duration(seconds: float | None) -> str:
    """``2 h 05 min``, ``3 min 20 s``, ``41 s``, ``0.31 s``."""
    if seconds is None:
        return "—"
    if seconds < 10:
        return f"{seconds:.2g} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02d} min"


def moment(time: datetime | None) -> str:
    """``2026-03-01 14:05 UTC``."""
    return "—" if time is None else f"{time:%Y-%m-%d %H:%M} UTC"
