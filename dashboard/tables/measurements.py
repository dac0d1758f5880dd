"""Tables about the measurements of a study."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from urllib.parse import urlencode

import pandas as pd

from nas.foreign import line
from trials.analysis.measurements import Canary, Repeat, half_width
from trials.reporting.labels import interval, moment
from trials.store.read.candidates import Value
from trials.store.read.measurements import Measured

#: The order of the columns that count measurements.
TRUST_WORDS = ("good", "unverified", "quarantined")


def health_table(
    found: Sequence[Canary], trust: Mapping[str, Mapping[str, int]], targets: Sequence[str], max_drift: float
) -> pd.DataFrame:
    """Return one row per target: the last canary, and numbers of measurements by trust; shares in percent."""
    last = {item.target: item for item in found}
    return pd.DataFrame(
        [
            {
                "Target": line(target),
                **_health(last.get(target), max_drift),
                **{word.capitalize(): trust.get(target, {}).get(word, 0) for word in TRUST_WORDS},
            }
            for target in targets
        ]
    )


def _health(canary: Canary | None, max_drift: float) -> dict[str, object]:
    if canary is None:
        return {"Last canary": "none recorded", "Slower": None, "Throttled": None, "Warnings": "", "Found at": "—"}
    health = canary.health
    return {
        "Last canary": health.problem(max_drift) or "as calibrated",
        "Slower": 100 * health.drift,
        "Throttled": 100 * health.throttled,
        "Warnings": line("; ".join(health.warnings)),
        "Found at": moment(canary.at),
    }


def repeats_table(study: str, found: Sequence[Repeat]) -> pd.DataFrame:
    """Return one row per trial and target that was measured again: every measurement, and what is recorded."""
    return pd.DataFrame(
        [
            {
                "Trial": trial_address(study, item.number),
                "Target": line(item.target),
                "First": _measured(item.first),
                "Again": "; ".join(map(_measured, item.again)),
                "Overlapping": f"{item.overlapping} of {len(item.again)}",
                "Recorded": _interval(item.first.recorded),
                "Which is": "pooled" if item.pooled else "the last one",
            }
            for item in found
        ]
    )


def disturbed_table(study: str, rows: Sequence[Measured]) -> pd.DataFrame:
    """Return one row per measurement that something disturbed."""
    return pd.DataFrame(
        [
            {
                "Trial": trial_address(study, row.number),
                "Measured": line(f"{row.purpose} at {row.target}"),
                "At": moment(row.created_at),
                "Latency": _interval(row.latency),
                "Trust": line(row.trust),
                "Disturbed by": line("; ".join(row.disturbed_by)),
            }
            for row in rows
        ]
    )


def wide_table(study: str, rows: Sequence[Measured]) -> pd.DataFrame:
    """Return one row per trial and target whose recorded interval is wide; its half width is in percent."""
    return pd.DataFrame(
        [
            {
                "Trial": trial_address(study, row.number),
                "Target": line(row.target),
                "Recorded": _interval(row.recorded),
                "Half width": 100 * half_width(row.recorded) if row.recorded else None,
            }
            for row in rows
        ]
    )


def trial_address(study: str, number: int) -> str:
    """Return the address of a trial's page, relative to another page."""
    return "trial?" + urlencode({"study": study, "trial": number})


def _measured(row: Measured) -> str:
    return f"{line(row.purpose)} {_interval(row.latency)}"


def _interval(value: Value | None) -> str:
    return "" if value is None else interval("latency_ms", value.value, value.low, value.high)
