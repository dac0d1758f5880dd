"""Format metrics and numbers for people: labels with units, and few digits."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from datetime import datetime

#: Ending of a metric's name → symbol of its unit.
UNITS: Mapping[str, str] = {"_ms": "ms", "_s": "s", "_us": "µs", "_bytes": "B", "_mb": "MB", "_mj": "mJ"}

#: Word in a name → its spelling in a label.
WORDS: Mapping[str, str] = {"macs": "MACs", "iou": "IoU", "auc": "AUC", "f1": "F1", "mae": "MAE", "naswot": "NASWOT"}

#: Name that is unclear without its unit → name to show.
NAMES: Mapping[str, str] = {"nonzero_bytes": "nonzero_weights_bytes", "weight_bytes": "weights_bytes"}

_BINARY = ("B", "KiB", "MiB", "GiB", "TiB")


def unit(metric: str) -> str:
    """Return the unit of a metric, derived from its name; empty if it has none."""
    name = metric.partition("@")[0]
    return next((symbol for ending, symbol in UNITS.items() if name.endswith(ending)), "")


def label(metric: str) -> str:
    """Return the label of a metric with its unit: ``latency_ms@pi`` → ``Latency at pi (ms)``."""
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
    """Return the label without unit: ``latency_ms@pi`` → ``Latency at pi``; for places that show it with the number."""
    return label(metric).partition(" (")[0]


def inline(metric: str) -> str:
    """Return ``title`` for use within a sentence: ``latency at pi``; abbreviations such as MACs keep their capitals."""
    text = title(metric)
    return text if text[1:2].isupper() else text[:1].lower() + text[1:]


def goal(metric: str, direction: str) -> str:
    """Return a label with the direction of improvement: ``Accuracy · higher is better``."""
    ways = {"maximize": " · higher is better", "minimize": " · lower is better"}
    return label(metric) + ways.get(direction, "")


def short_goal(metric: str, direction: str) -> str:
    """Return a label with the direction of improvement as an arrow: ``Accuracy ↑``."""
    arrows = {"maximize": " ↑", "minimize": " ↓"}
    return label(metric) + arrows.get(direction, "")


def number(metric: str, value: float | None) -> str:
    """Return a metric's value with few digits and its unit."""
    if value is None or math.isnan(value):
        return "—"
    symbol = unit(metric)
    if symbol == "B":
        return size(value)
    if metric in ("parameters", "macs") or (float(value).is_integer() and abs(value) >= 1000):
        text = f"{value:,.0f}"
    else:
        text = f"{value:.4g}"
    return f"{text} {symbol}" if symbol else text


def interval(metric: str, value: float, low: float | None, high: float | None) -> str:
    """Return a value with its interval: ``0.312 ms [0.308, 0.317]``, or only the value if no interval is known."""
    text = number(metric, value)
    if low is None or high is None or math.isnan(low) or math.isnan(high):
        return text
    return f"{text} [{low:.4g}, {high:.4g}]"


def size(num_bytes: float) -> str:
    """Return a size as text: ``1.4 MiB``."""
    for symbol in _BINARY:
        if abs(num_bytes) < 1024 or symbol == _BINARY[-1]:
            break
        num_bytes /= 1024
    return f"{num_bytes:.0f} {symbol}" if symbol == "B" else f"{num_bytes:.1f} {symbol}"


def dominated_by(numbers: Sequence[int] | None) -> str:
    """Return the trials that dominate a network: ``trials 3, 12``; a dash if it can't be compared."""
    if numbers is None:
        return "—"
    return numbered(numbers) if numbers else "no trial"


def numbered(numbers: Sequence[int]) -> str:
    """Return trials by their numbers: ``trial 3``, ``trials 3, 12``."""
    return f"{'trial' if len(numbers) == 1 else 'trials'} {', '.join(map(str, numbers))}"


def counted(count: int, noun: str) -> str:
    """Return a count with its noun: ``1 trial``, ``3 trials``."""
    return f"{count:,} {noun}" + ("" if count == 1 else "s")


def duration(seconds: float | None) -> str:
    """Return a duration as text: ``2 h 05 min``, ``3 min 20 s``, ``41 s``, ``0.31 s``."""
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
    """Return a time as text: ``2026-03-01 14:05 UTC``."""
    return "—" if time is None else f"{time:%Y-%m-%d %H:%M} UTC"
