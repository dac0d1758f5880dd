"""When canaries are due on a study's targets: before the first measurement, every so many, and after the last."""

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
    """What is known of one target."""

    #: Measurements handed out since the last good canary.
    slots: int = 0
    #: A canary is under way.
    pending: bool = False
    health: Health | None = None
    #: Why it is not measured on.
    problem: str | None = None
    retry_at: float = 0.0
    number: int = 0


class Canaries:
    """Says when a canary is due on a target, and whether it may be measured on until then."""

    def __init__(self, plan: MeasurePlan, names: Mapping[str, Any]) -> None:
        self._plan = plan
        self._states = {name: _TargetState() for name in names}

    @property
    def waiting(self) -> str:
        """Which targets a study waits for, and why; empty if it need not."""
        bad = {name: state.problem for name, state in self._states.items() if state.problem}
        return "; ".join(f"target {name}: {problem}" for name, problem in bad.items())

    def due(self, name: str, *, final: bool = False) -> bool:
        """Whether it is time for a canary; ``final``: nothing will be measured any more."""
        state, every = self._states[name], self._plan.canary_every
        if state.pending:
            return False
        if state.problem:
            return time.monotonic() >= state.retry_at
        enough = state.slots >= every or (final and state.slots > 0)
        return (state.health is None and not final) or bool(every and enough)

    def may_measure(self, name: str) -> bool:
        """Whether a canary found the target good."""
        state = self._states[name]
        return state.health is not None and not state.pending and state.problem is None

    def settled(self) -> bool:
        """Whether every measurement has had a good canary after it, as far as the plan asks for canaries."""
        states = self._states.values()
        return not any(state.pending or state.problem or (self._plan.canary_every and state.slots) for state in states)

    def handed_out(self, name: str) -> None:
        """A measurement was given to the target."""
        self._states[name].slots += 1

    def started(self, name: str) -> str:
        """A canary begins; a key for its job."""
        state = self._states[name]
        state.pending = True
        state.number += 1
        return f"canary.{name}.{state.number}"

    def finished(self, name: str, health: Health) -> bool:
        """A canary is done; whether the target is good."""
        state = self._states[name]
        state.pending = False
        state.health = health
        self._turn(name, health.problem(self._plan.max_drift) if self._plan.canary_every else None)
        return state.problem is None

    def failed(self, name: str, reason: str) -> None:
        """A canary could not run: nobody knows how the target is."""
        self._states[name].pending = False
        self._turn(name, f"the canary could not run: {reason}")

    def noted(self, name: str, latency: LatencyResult) -> LatencyResult:
        """A latency with the last canary among its conditions, unless it was measured for another candidate."""
        health = self._states[name].health
        if health is None or "answered_from" in latency:
            return latency
        note = {key: value for key, value in health.to_json().items() if key != "state"}
        return {**latency, "conditions": {**latency["conditions"], "health": note}}

    def _turn(self, name: str, problem: str | None) -> None:
        """From good to bad or back, saying so."""
        state = self._states[name]
        if problem:
            state.retry_at = time.monotonic() + RETRY_S
            log.warning("target %s: %s; measuring there waits until it is as before", name, problem)
        elif state.problem:
            log.warning("target %s is as it was calibrated again; measuring goes on", name)
        state.problem = problem
        state.slots = 0
