"""The live display of a running study."""

from __future__ import annotations

import time
from types import TracebackType

from rich.console import Console
from rich.live import Live
from rich.table import Table
from rich.text import Text

from nas.foreign import line
from trials.coordinator.coordinator import Coordinator
from trials.launch.preparing import phase_line

STATES = ("queued", "running", "measured_only", "paused", "complete", "infeasible", "stopped", "failed")
#: Without a terminal, seconds between two lines.
LINE_EVERY_S = 15.0


class LiveDisplay:
    """Displays counts by state, best of each objective, rate, time left."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._live = Live(console=console, refresh_per_second=2, transient=False) if console.is_terminal else None
        self._printed = 0.0
        self._last = self._phase = ""

    def __enter__(self) -> LiveDisplay:
        if self._live:
            self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._live:
            self._live.stop()

    def prepare(self, study: str, phase: str) -> None:
        """Show the phase of a study's preparation, before its first candidate."""
        text = phase_line(study, phase)
        if self._live:
            self._live.update(Text(line(text)))
            return
        kind, now = phase.partition(":")[0], time.monotonic()
        if kind != self._phase or (text != self._last and now - self._printed > LINE_EVERY_S):
            self._console.print(Text(line(text)), soft_wrap=True)
            self._printed, self._last, self._phase = now, text, kind

    def update(self, coordinator: Coordinator) -> None:
        """Show the progress of a study."""
        if self._live:
            self._live.update(_table(coordinator))
            return
        text = summary(coordinator)
        now = time.monotonic()
        over = coordinator.state != "running"
        if text != self._last and (over or now - self._printed > LINE_EVERY_S):
            self._console.print(Text(line(text)), soft_wrap=True)
            self._printed, self._last = now, text


def summary(coordinator: Coordinator) -> str:
    """Return the progress of a running study in one line."""
    return " · ".join(f"{key} {value}" for key, value in _facts(coordinator).items())


def _facts(coordinator: Coordinator) -> dict[str, str]:
    progress, totals = coordinator.progress, coordinator.totals
    counts = ", ".join(f"{progress.counts[state]} {state}" for state in STATES if progress.counts[state])
    facts = {"study": coordinator.name, "trials": counts or "none yet"}
    if coordinator.phase:
        facts["now"] = coordinator.phase
    facts |= {f"best {name}": f"{value:.4g}" for name, value in best(coordinator).items()}
    if coordinator.state != "running":
        facts["state"] = coordinator.state
    if progress.num_finished and totals["wall_s"] > 0:
        rate = progress.num_finished / totals["wall_s"]
        facts["rate"] = f"{60 * rate:.1f}/min"
        if coordinator.state == "running" and not coordinator.problem.rungs:  # with rungs, trials differ too much
            facts["left"] = f"{coordinator.num_left / rate / 60:.1f} min"
    if progress.duplicates:
        facts["duplicates"] = str(progress.duplicates)
    return facts


def best(coordinator: Coordinator) -> dict[str, float]:
    """Return objective → best value over complete candidates."""
    points = coordinator.progress.points
    if not points:
        return {}
    directions = coordinator.problem.objectives
    columns = zip(*points, strict=True)
    return {
        name: (max if direction == "maximize" else min)(column)
        for (name, direction), column in zip(directions.items(), columns, strict=True)
    }


def _table(coordinator: Coordinator) -> Table:
    table = Table(show_header=False, box=None, padding=(0, 2))
    for key, value in _facts(coordinator).items():
        table.add_row(Text(line(key), style="dim"), Text(line(value)))
    return table
