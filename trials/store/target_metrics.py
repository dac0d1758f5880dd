"""Metrics of a candidate on a target; each entry defines how the metric is read and shown."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from nas.latency.protocol.measure import LOADS
from nas.latency.protocol.percentiles import PERCENTILES

#: Value, lower and upper end of its 95 % interval; None if the target does not report it.
Reading = tuple[float | None, float | None, float | None]


@dataclass(frozen=True)
class TargetMetric:
    """A metric that each candidate has on each target, such as ``latency_ms@pi``."""

    #: Reads the metric from a measurement that a job returned.
    read: Callable[[Mapping[str, Any]], Reading]
    #: Whether tables always show it; else they show it only in a study that has it as an objective or limit.
    shown: bool = False
    #: Whether it is stored in the conditions of a measurement, so that older measurements may lack it.
    condition: bool = False
    #: Whether canaries report if the target can measure it (``readable`` in ``Health.state``).
    announced: bool = False
    #: Why a target may not be able to measure it.
    why_not: str = "its measurements do not have this metric"


def _condition(name: str) -> Callable[[Mapping[str, Any]], Reading]:
    return lambda latency: (latency["conditions"].get(name), None, None)


def _load(latency: Mapping[str, Any]) -> Reading:
    """The median time of loading a file; with a 95 % interval if there are at least ``LOADS`` values."""
    ordered = sorted(latency["conditions"].get("loads_ms", ()))
    ends = (ordered[0], ordered[-1]) if len(ordered) >= LOADS else (None, None)
    return latency["conditions"].get("load_ms"), *ends


def _percentile(name: str) -> Callable[[Mapping[str, Any]], Reading]:
    return lambda latency: tuple(latency["percentiles"].get(name, (None, None, None)))


LATENCY_PERCENTILES = {f"latency_p{percent}_ms": percent for percent in PERCENTILES}
TARGET_METRICS: Mapping[str, TargetMetric] = {
    "latency_ms": TargetMetric(
        lambda latency: (latency["latency_ms"], latency["low_ms"], latency["high_ms"]), shown=True
    ),
    "peak_memory_bytes": TargetMetric(
        lambda latency: (latency["peak_memory_bytes"], None, None),
        shown=True,
        condition=True,
        why_not="its system or runtime does not report the memory of a process",
    ),
    **{name: TargetMetric(_percentile(name)) for name in LATENCY_PERCENTILES},
    "load_ms": TargetMetric(
        _load,
        condition=True,
        announced=True,
        why_not="its agent does not know this metric; give it a new bundle, nas agent --bundle FILE",
    ),
    "energy_mj": TargetMetric(
        _condition("energy_mj"),
        condition=True,
        announced=True,
        why_not="the energy counters of its processor (RAPL, /sys/class/powercap) are missing or this user can't read "
        "them",
    ),
}


def is_hidden(name: str) -> bool:
    """Whether tables show the metric only in a study that has it as an objective or limit."""
    return name in TARGET_METRICS and not TARGET_METRICS[name].shown
