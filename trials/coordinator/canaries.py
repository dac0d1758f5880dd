"""The health of a study's targets: looked at before the first measurement, every so many, and after the last."""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from nas.latency.protocol.canary import Health
from trials.plans.plan import MeasurePlan

log = logging.getLogger(__name__)
#: Seconds from one look at a bad target to the next.
RETRY_S = 30.0


@dataclass
class _Look:
    """What is known of one target."""

    #: Measurements handed out since the last good look.
    slots: int = 0
    #: A look is under way.
    pending: bool = False
    health: Health | None = None
    #: Why it is not measured on.
    problem: str | None = None
    retry_at: float = 0.0
    number: int = 0


class Targets:
    """Says when a target is due for a look, and whether it may be measured on until then."""

    def __init__(self, plan: MeasurePlan, names: Mapping[str, Any]) -> None:
        self._plan = plan
        self._looks = {name: _Look() for name in names}

    @property
    def waiting(self) -> str:
        """Which targets a study waits for, and why; empty if it need not."""
        bad = {name: look.problem for name, look in self._looks.items() if look.problem}
        return "; ".join(f"target {name}: {problem}" for name, problem in bad.items())

    def due(self, name: str, *, final: bool = False) -> bool:
        """Whether it is time for a look; ``final``: nothing will be measured any more."""
        look, every = self._looks[name], self._plan.canary_every
        if look.pending:
            return False
        if look.problem:
            return time.monotonic() >= look.retry_at
        enough = look.slots >= every or (final and look.slots > 0)
        return (look.health is None and not final) or bool(every and enough)

    def may_measure(self, name: str) -> bool:
        """Whether the target was looked at and found good."""
        look = self._looks[name]
        return look.health is not None and not look.pending and look.problem is None

    def settled(self) -> bool:
        """Whether every measurement has had a good look after it, as far as the plan asks for looks."""
        looks = self._looks.values()
        return not any(look.pending or look.problem or (self._plan.canary_every and look.slots) for look in looks)

    def handed_out(self, name: str) -> None:
        """A measurement was given to the target."""
        self._looks[name].slots += 1

    def look(self, name: str) -> str:
        """A look begins; a key for its job."""
        look = self._looks[name]
        look.pending = True
        look.number += 1
        return f"canary.{name}.{look.number}"

    def looked(self, name: str, health: Health) -> bool:
        """A look is done; whether the target is good."""
        look = self._looks[name]
        look.pending = False
        look.health = health
        self._turn(name, health.problem(self._plan.max_drift) if self._plan.canary_every else None)
        return look.problem is None

    def failed(self, name: str, reason: str) -> None:
        """A look could not be taken: nobody knows how the target is."""
        self._looks[name].pending = False
        self._turn(name, f"can't be looked at: {reason}")

    def noted(self, name: str, result: Mapping[str, Any]) -> Mapping[str, Any]:
        """A job's result with the last look among the conditions of its latency."""
        health, latency = self._looks[name].health, result.get("latency")
        if health is None or not latency or "conditions" not in latency or "answered_from" in latency:
            return result
        note = {key: value for key, value in health.to_json().items() if key != "state"}
        return {**result, "latency": {**latency, "conditions": {**latency["conditions"], "health": note}}}

    def _turn(self, name: str, problem: str | None) -> None:
        """From good to bad or back, saying so."""
        look = self._looks[name]
        if problem:
            look.retry_at = time.monotonic() + RETRY_S
            log.warning("target %s: %s; measuring there waits until it is as before", name, problem)
        elif look.problem:
            log.warning("target %s is as it was calibrated again; measuring goes on", name)
        look.problem = problem
        look.slots = 0
