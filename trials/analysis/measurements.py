"""Whether the latencies of a study can be believed: canaries, repeats, disturbances, wide intervals."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import groupby
from statistics import median
from typing import Any

from nas.latency.protocol.canary import Health
from trials.plans.plan import MeasurePlan
from trials.store.read.candidates import Value
from trials.store.read.measurements import Measured


@dataclass(frozen=True)
class Canary:
    """One check of a target against its calibration."""

    target: str
    #: What it found; its ``state`` is empty, because measurements do not record it.
    health: Health
    #: When the first measurement after it was stored.
    at: datetime
    #: Number of measurements after it, until the next canary.
    count: int


@dataclass(frozen=True)
class Repeat:
    """The measurements of one file on one target: the first, and those at later times."""

    number: int
    target: str
    first: Measured
    again: tuple[Measured, ...]

    @property
    def overlapping(self) -> int:
        """Number of later measurements whose interval overlaps with that of the first one."""
        return sum(overlap(self.first.latency, each.latency) for each in self.again)

    @property
    def changes(self) -> list[float]:
        """Each later latency divided by the first one, minus 1."""
        return [each.latency.value / self.first.latency.value - 1 for each in self.again]

    @property
    def pooled(self) -> bool:
        """Whether the recorded latency is pooled from several measurements."""
        return any(each.purpose == "remeasure" and each.trust != "quarantined" for each in self.again)


@dataclass(frozen=True)
class Agreement:
    """How well repeats agree with first measurements."""

    count: int
    #: Share of repeats whose interval overlaps with that of the first measurement.
    overlapping: float
    #: Median of the relative changes, by size.
    median_change: float


def measure_plan(plan: Mapping[str, Any]) -> MeasurePlan:
    """Return the part of a stored plan that is about measurements."""
    return MeasurePlan.model_validate(plan.get("measure") or {})


def canaries(rows: Sequence[Measured]) -> list[Canary]:
    """Return the canaries of all targets that measurements recorded, oldest first for each target."""
    checked = [row for row in rows if not row.reused and isinstance(row.health.get("drift"), int | float)]
    found = []
    for target in dict.fromkeys(row.target for row in checked):
        own = [row for row in checked if row.target == target]
        for _, equal in groupby(own, key=lambda row: row.health):
            after = list(equal)
            found.append(Canary(target, _health(after[0].health), after[0].created_at, len(after)))
    return found


def _health(recorded: Mapping[str, Any]) -> Health:
    return Health(
        rung=str(recorded.get("rung", "")),
        drift=float(recorded["drift"]),
        throttled=float(recorded.get("throttled") or 0.0),
        warnings=tuple(map(str, recorded.get("warnings") or ())),
        state={},
    )


def repeats(rows: Sequence[Measured]) -> list[Repeat]:
    """Return the trials that were measured several times as one file, ascending by number.

    Copies of stored measurements, dense twins and quarantined measurements do not count, nor do those that ended early.
    A trial is left out if ``rows`` begin after its first measurement.
    """
    own: dict[tuple[int, str, str], list[Measured]] = {}
    for row in rows:
        if row.purpose != "twin" and row.trust != "quarantined" and not (row.reused or row.rejected):
            own.setdefault((row.number, row.target, row.structure_hash), []).append(row)
    found = [
        Repeat(number, target, measured[0], tuple(measured[1:]))
        for (number, target, _), measured in own.items()
        if len(measured) > 1 and measured[0].purpose != "remeasure"
    ]
    return sorted(found, key=lambda item: (item.number, item.target))


def agreement(found: Sequence[Repeat]) -> Agreement | None:
    """Return how well repeats agree with first measurements; None without repeats."""
    changes = [change for item in found for change in item.changes]
    if not changes:
        return None
    share = sum(item.overlapping for item in found) / len(changes)
    return Agreement(len(changes), share, median(map(abs, changes)))


def overlap(first: Value, second: Value) -> bool:
    """Whether the intervals of two values overlap; a value without interval is a point."""
    (low, high), (other_low, other_high) = _ends(first), _ends(second)
    return low <= other_high and other_low <= high


def half_width(value: Value) -> float:
    """Return half the width of a value's interval as a share of the value; 0 without interval."""
    low, high = _ends(value)
    return (high - low) / 2 / value.value if value.value else 0.0


def wide(rows: Sequence[Measured], precision: float) -> list[Measured]:
    """Return the newest measurement of each trial and target whose recorded interval is too wide, the widest first.

    Args:
        rows: measurements, oldest first.
        precision: largest half width of an interval, as a share of the latency.
    """
    newest = {(row.number, row.target): row for row in rows if row.purpose != "twin"}
    found = [(half_width(row.recorded), row) for row in newest.values() if row.recorded and not row.rejected]
    return [row for width, row in sorted(found, key=lambda item: -item[0]) if width > precision]


def disturbed(rows: Sequence[Measured]) -> list[Measured]:
    """Return the measurements that something disturbed, newest first; copies do not count."""
    return [row for row in reversed(rows) if row.disturbed_by and not row.reused]


def _ends(value: Value) -> tuple[float, float]:
    return (
        value.value if value.low is None else value.low,
        value.value if value.high is None else value.high,
    )
