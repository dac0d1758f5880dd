"""Profiles: the milliseconds that each node of a model takes, as the runtime's own profiler reports them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from nas.errors import MeasureError

#: Approximate duration of a profile in seconds, bounds on its number of runs, and runs before it that warm up.
PROFILE_S = 0.5
RUNS = (20, 300)
WARM_UP_RUNS = 5


@dataclass(frozen=True)
class NodeTime:
    """The time of one node that the runtime executed: an op of the file, several fused ops, or an op it inserted."""

    name: str
    op: str
    time_ms: float


@dataclass(frozen=True)
class Profile:
    """Mean times over ``runs`` runs; they include the profiler's own cost."""

    runs: int
    #: Wall time of a whole run.
    run_ms: float
    #: Nodes in the order of execution.
    nodes: tuple[NodeTime, ...]

    def to_json(self) -> dict[str, Any]:
        """JSON values for ``from_json``."""
        return asdict(self)

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Profile:
        """Read what ``to_json`` wrote."""
        return cls(data["runs"], data["run_ms"], tuple(NodeTime(**node) for node in data["nodes"]))


@dataclass(frozen=True)
class ProfiledRun:
    """One run: its wall time, and (name, op, milliseconds) of each node."""

    run_ms: float
    nodes: Sequence[tuple[str, str, float]]


def profile_runs(time_s: float) -> int:
    """Number of runs in a profile of a model that takes ``time_s``, warm-up included."""
    return WARM_UP_RUNS + int(min(max(PROFILE_S / max(time_s, 1e-9), RUNS[0]), RUNS[1]))


def summarize(runs: Sequence[ProfiledRun]) -> Profile:
    """Average many runs into one profile, leaving out warm-up runs and the slower, disturbed half of the others.

    Raises:
        MeasureError: there are only warm-up runs.
    """
    kept = sorted(runs[WARM_UP_RUNS:], key=lambda run: run.run_ms)
    kept = kept[: (len(kept) + 1) // 2]
    if not kept:
        raise MeasureError(f"{len(runs)} profiled runs; more than {WARM_UP_RUNS} are needed")
    times: dict[tuple[str, str], float] = {}
    for run in kept:
        for name, op, time_ms in run.nodes:
            times[name, op] = times.get((name, op), 0.0) + time_ms / len(kept)
    nodes = tuple(NodeTime(name, op, time_ms) for (name, op), time_ms in times.items())
    return Profile(len(kept), sum(run.run_ms for run in kept) / len(kept), nodes)
