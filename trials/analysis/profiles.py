"""A stored profile summed by layer, and compared with the measured latency."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from trials.store.read.candidate import CandidateDetail, ProfileInfo

#: Label of operations that a runtime adds to the layers, for example to change the layout of tensors.
OWN = "the runtime's own"


@dataclass(frozen=True)
class LayerTime:
    """The time of one layer in a run."""

    #: Path of the module; None for operations that the runtime added.
    layer: str | None
    ops: str
    time_ms: float
    #: Share of the sum of all layers' times.
    share: float


def layer_times(nodes: Sequence[Mapping[str, Any]]) -> list[LayerTime]:
    """Return the times of nodes summed by layer, in the order of execution; operations of the runtime are last."""
    total = sum(node["time_ms"] for node in nodes) or 1.0
    layers = sorted(dict.fromkeys(node["layer"] for node in nodes), key=lambda layer: layer is None)
    found = []
    for layer in layers:
        own = [node for node in nodes if node["layer"] == layer]
        time_ms = sum(node["time_ms"] for node in own)
        found.append(LayerTime(layer, ", ".join(dict.fromkeys(node["op"] for node in own)), time_ms, time_ms / total))
    return found


def account(detail: CandidateDetail, profile: ProfileInfo) -> dict[str, float]:
    """Return milliseconds of all layers together, of a profiled run, and the latency measured without a profiler."""
    metrics = detail.row.metrics
    measured = metrics.get(f"latency_ms@{profile.target}")
    if measured is None and profile.target == detail.first_target:
        measured = metrics.get("latency_ms")
    facts = {"sum_of_layers_ms": sum(node["time_ms"] for node in profile.nodes), "profiled_run_ms": profile.run_ms}
    return facts | ({"measured_latency_ms": measured.value} if measured else {})
