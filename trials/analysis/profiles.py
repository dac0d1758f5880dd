"""A stored profile as people read it: by layer, and beside the measured latency."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from trials.store.read.candidate import CandidateDetail, ProfileInfo

#: What a runtime executes beside the layers, to turn tensors into another layout, say.
OWN = "the runtime's own"


@dataclass(frozen=True)
class LayerTime:
    """A layer's part of a run."""

    #: A module's path; None for what is the runtime's own.
    layer: str | None
    ops: str
    time_ms: float
    #: Of all layers' times together.
    share: float


def layer_times(nodes: Sequence[Mapping[str, Any]]) -> list[LayerTime]:
    """Times of nodes added up by layer, in the order of execution; the runtime's own last."""
    total = sum(node["time_ms"] for node in nodes) or 1.0
    layers = sorted(dict.fromkeys(node["layer"] for node in nodes), key=lambda layer: layer is None)
    found = []
    for layer in layers:
        own = [node for node in nodes if node["layer"] == layer]
        time_ms = sum(node["time_ms"] for node in own)
        found.append(LayerTime(layer, ", ".join(dict.fromkeys(node["op"] for node in own)), time_ms, time_ms / total))
    return found


def account(detail: CandidateDetail, profile: ProfileInfo) -> dict[str, float]:
    """Milliseconds: the layers together, a profiled run, and the latency that was measured without a profiler."""
    metrics = detail.row.metrics
    measured = metrics.get(f"latency_ms@{profile.target}") or metrics.get("latency_ms")
    facts = {"sum_of_layers_ms": sum(node["time_ms"] for node in profile.nodes), "profiled_run_ms": profile.run_ms}
    return facts | ({"measured_latency_ms": measured.value} if measured else {})
