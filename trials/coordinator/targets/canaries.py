"""Decide when canaries are due on targets: before the first measurement, after every N measurements, and at the end."""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from nas.latency.protocol.canary import Health
from trials.jobs.messages import LatencyResult
from trials.plans.plan import MeasurePlan

log = logging.getLogger(__name__)
#: Seconds from one canary on a bad target to the next.
RETRY_S = 30.0


@dataclass
class _TargetState:
    """The state of one target."""

    #: Number of measurements given to the target since the last good canary.
    slots: int = 0
    #: Whether a canary is running.
    pending: bool = False
    health: Health | None = None
    #: Why the target may not be measured on; None if it may.
    problem: str | None = None
    retry_at: float = 0.0
    number: int = 0


class Canaries:
    """Decides when a canary is due on a target, and whether the target may be measured on."""

    def __init__(self, plan: MeasurePlan, names: Mapping[str, Any]) -> None:
        self._plan = plan
        self._states = {name: _TargetState() for name in names}

    @property
    def waiting(self) -> str:
        """The targets that the study waits for, and why; empty if there are none."""
        bad = {name: state.problem for name, state in self._states.items() if state.problem}
        return "; ".join(f"target {name}: {problem}" for name, problem in bad.items())

    def due(self, name: str, *, final: bool = False) -> bool:
        """Whether a canary is due on a target; ``final``: no measurement will follow."""
        state, every = self._states[name], self._plan.canary_every
        if state.pending:
            return False
        if state.problem:
            return time.monotonic() >= state.retry_at
        enough = state.slots >= every or (final and state.slots > 0)
        return (state.health is None and not final) or bool(every and enough)

    def may_measure(self, name: str) -> bool:
        """Whether the last canary found the target good, and no canary is running."""
        state = self._states[name]
        return state.health is not None and not state.pending and state.problem is None

    def settled(self) -> bool:
        """Whether a good canary followed every measurement, if the plan requires canaries."""
        states = self._states.values()
        return not any(state.pending or state.problem or (self._plan.canary_every and state.slots) for state in states)

    def handed_out(self, name: str) -> None:
        """Record that a measurement was given to the target."""
        self._states[name].slots += 1

    def started(self, name: str) -> str:
        """Record that a canary starts, and return a key for its job."""
        state = self._states[name]
        state.pending = True
        state.number += 1
        return f"canary.{name}.{state.number}"

    def finished(self, name: str, health: Health) -> bool:
        """Record the result of a canary, and return whether the target is good."""
        state = self._states[name]
        state.pending = False
        state.health = health
        self._turn(name, health.problem(self._plan.max_drift) if self._plan.canary_every else None)
        return state.problem is None

    def failed(self, name: str, reason: str) -> None:
        """Record that a canary could not run, so that the target's health is unknown."""
        self._states[name].pending = False
        self._turn(name, f"the canary could not run: {reason}")

    def noted(self, name: str, latency: LatencyResult) -> LatencyResult:
        """Add the last canary to the conditions of a latency, unless the latency was measured for another candidate."""
        health = self._states[name].health
        if health is None or "answered_from" in latency:
            return latency
        note = {key: value for key, value in health.to_json().items() if key != "state"}
        return {**latency, "conditions": {**latency["conditions"], "health": note}}

    def _turn(self, name: str, problem: str | None) -> None:
        """Set or clear the target's problem, and log the change."""
        state = self._states[name]
        if problem:
            state.retry_at = time.monotonic() + RETRY_S
            log.warning("target %s: %s; measurements there wait until it is as calibrated", name, problem)
        elif state.problem:
            log.warning("target %s is as calibrated again; measurements continue", name)
        state.problem = problem
        state.slots = 0
