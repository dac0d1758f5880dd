"""Reuse stored latencies: a structure that was measured on a target is answered from its stored samples."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from nas.errors import MeasureError
from nas.latency.protocol.measure import PROTOCOL_VERSION
from nas.latency.protocol.samples import Samples
from trials.coordinator.assignment import Assignment
from trials.coordinator.pipeline import reject_above
from trials.jobs.messages import PREFIX, LatencyResult
from trials.jobs.metrics import needed_metrics, percentile_intervals
from trials.store.read.measured import known_conditions, known_measurements, target_descriptions
from trials.store.records import KnownMeasurement, MeasurementValue
from trials.store.store import Reading
from trials.store.target_metrics import TARGET_METRICS

#: Largest number of structures that a job is told, the latest ones; only the first ``PREFIX`` letters are sent.
MAX_KNOWN = 5000
#: Keys of a target's JSON that do not affect whether two targets are equal.
_INCIDENTAL = {"name", "load"}


class LatencyCache:
    """Stored measurements of all studies, by structure hash, target description, runtime and protocol version.

    A stored latency is reused only if it was undisturbed, trusted, precise enough, not stopped early below the limit,
    and contains every metric that is an objective or has a limit.
    """

    def __init__(self, store: Reading, assignment: Assignment) -> None:
        """Create an empty cache; ``open`` reads the measurements of a target."""
        self._store = store
        self._assignment = assignment
        self._plan = assignment.problem.plan.measure
        self._known: dict[str, dict[str, None]] = {}
        self._versions: dict[str, str] = {}
        self._ids: dict[str, list[int]] = {}

    def open(self, target: str, runtime_version: str) -> None:
        """Read the stored measurements of a target; before this call, none is reused."""
        if not self._plan.cache:
            return
        self._versions[target] = runtime_version
        own = described(self._assignment.targets[target])
        stored = self._store.read(target_descriptions)
        self._ids[target] = [key for key, description in stored.items() if described(description) == own]
        rows = self._store.read(known_conditions, self._ids[target], PROTOCOL_VERSION, runtime_version, MAX_KNOWN)
        usable = (row[0] for row in rows if self._answers(target, row[1], row[3]))
        self._known[target] = dict.fromkeys(usable)

    def learn(self, made: MeasurementValue) -> None:
        """Add a new measurement, so that later jobs with its structure need not measure."""
        if made.target in self._known and self._answers(made.target, made.conditions, made.low_ms):
            self._known[made.target][made.structure_hash] = None

    def prefixes(self, target: str) -> list[str]:
        """Return prefixes of structure hashes; a job need not measure structures whose hash starts with one."""
        return [item[:PREFIX] for item in list(self._known.get(target, {}))[-MAX_KNOWN:]]

    def answer(self, target: str, structure_hash: str) -> LatencyResult | None:
        """Return the stored latency of a structure as a job would; forget the structure and return None without one."""
        if structure_hash not in self._known.get(target, {}):
            return None
        for row in self._store.read(known_measurements, self._ids[target], structure_hash):
            if self._is_current(target, row.conditions) and self._answers(target, row.conditions, row.low_ms):
                with suppress(MeasureError):  # skips measurements whose samples can't be read
                    return _as_measured(row)
        del self._known[target][structure_hash]
        return None

    def _is_current(self, target: str, conditions: Mapping[str, Any]) -> bool:
        wanted = PROTOCOL_VERSION, self._versions[target]
        return (conditions.get("protocol"), conditions.get("runtime_version")) == wanted

    def _answers(self, target: str, conditions: Mapping[str, Any], low_ms: float) -> bool:
        if conditions.get("disturbed", True) or "effort" not in conditions:
            return False
        problem = self._assignment.problem
        needed = [name for name in needed_metrics(problem, target) if TARGET_METRICS[name].condition]
        if any(conditions.get(name) is None for name in needed):
            return False
        if conditions.get("rejected", False):
            limit = reject_above(problem, self._assignment.limits, target)
            return limit is not None and low_ms > limit
        effort, plan = conditions["effort"], self._plan
        careful = effort["precision"] <= plan.precision and effort["budget_s"] >= plan.budget_s
        return bool(careful or conditions["half_width"] <= plan.precision)


def _as_measured(row: KnownMeasurement) -> LatencyResult:
    """Return a stored measurement as a job would return it.

    Raises:
        MeasureError: the stored samples can't be read.
    """
    samples = Samples.from_bytes(row.samples)
    return {
        "latency_ms": row.latency_ms,
        "low_ms": row.low_ms,
        "high_ms": row.high_ms,
        "peak_memory_bytes": row.conditions["peak_memory_bytes"],
        "rejected": row.conditions["rejected"],
        "conditions": dict(row.conditions),
        "samples": base64.b64encode(row.samples).decode(),
        "percentiles": percentile_intervals(samples, row.conditions["reference_ms"]),
        "answered_from": row.source_id or row.id,
    }


def described(target: Mapping[str, Any]) -> Any:
    """Return a target's JSON without incidental keys, so that the results are equal for equal targets."""
    return {
        key: {name: item for name, item in value.items() if name not in _INCIDENTAL} if key != "references" else value
        for key, value in target.items()
        if isinstance(value, Mapping)
    }
