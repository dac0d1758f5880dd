"""Jobs about a target itself: its calibration and its canary."""

from __future__ import annotations

from collections.abc import Iterator

from nas.latency.agent.remote import open_measurer
from nas.latency.process.client import Measurer
from nas.latency.targets import Target, TargetSpec
from trials.jobs.messages import CalibratePayload, CalibrateResult, CanaryPayload, CanaryResult


def calibrate(payload: CalibratePayload) -> Iterator[CalibrateResult]:
    """Measure a new target's reference models on the target."""
    with open_measurer(TargetSpec.from_json(payload["spec"])) as measurer:
        yield {"target": measurer.calibrate().to_json()}


def canary(payload: CanaryPayload) -> Iterator[CanaryResult]:
    """Run a canary on a target."""
    target = Target.from_json(payload["target"])
    yield {"health": measurer(target).health(target, payload["limit"]).to_json()}


_measurers: dict[str, Measurer] = {}


def measurer(target: Target) -> Measurer:
    """Return this worker's measurer for a target: a persistent process, or the client of the target's agent."""
    name = target.spec.name
    if name not in _measurers:
        _measurers[name] = open_measurer(target.spec)
    return _measurers[name]
