"""The live display of a running study."""

from __future__ import annotations

from types import TracebackType

from rich.console import Console
from rich.live import Live
from rich.text import Text

from nas.foreign import line
from trials.cli.changes import ChangeLog, facts_table
from trials.coordinator.coordinator import Coordinator
from trials.coordinator.dispatch import duration
from trials.launch.preparing import phase_line

STATES = ("queued", "running", "measured_only", "paused", "complete", "infeasible", "stopped", "failed")


class LiveDisplay:
    """Displays phase, counts by state, best of each objective, rate, time left.

    Without a terminal, it prints what has changed.
    """

    def __init__(self, console: Console) -> None:
        self._console = console
        self._study = ""
        self._live = Live(console=console, refresh_per_second=2, transient=False) if console.is_terminal else None
        self._log = ChangeLog(console)

    def __enter__(self) -> LiveDisplay:
        if self._live:
            self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._live:
            self._live.stop()
        if kind is KeyboardInterrupt and self._study:
            told = f"study {self._study} is interrupted; continue it with: nas resume {self._study}"
            self._console.print(line(told), soft_wrap=True)

    def prepare(self, study: str, phase: str) -> None:
        """Show the phase of a study's preparation, before its first candidate."""
        self._study, text = study, phase_line(study, phase)
        if self._live:
            self._live.update(Text(line(text)))
        else:
            self._log.says(text, phase.partition(":")[0])

    def update(self, coordinator: Coordinator) -> None:
        """Show the progress of a study."""
        self._study, told = coordinator.name, facts(coordinator)
        if self._live:
            self._live.update(facts_table(told))
        else:
            self._log.tell(told, over="state" in told)


def facts(coordinator: Coordinator) -> dict[str, str]:
    """Return the progress of a study: name of each fact that is known → its value as text."""
    progress, totals = coordinator.progress, coordinator.totals
    is_running, looks = coordinator.state == "running", coordinator.second_looks
    counts = ", ".join(f"{progress.counts[state]} {state}" for state in STATES if progress.counts[state])
    told = {"study": coordinator.name}
    if is_running:
        told["phase"] = looks or "searching"
    told["trials"] = f"{progress.num_finished} of {coordinator.problem.plan.budget.trials}"
    told["trials"] += f" ({counts})" if counts else ""
    if coordinator.phase and coordinator.phase != looks:
        told["now"] = coordinator.phase.removeprefix(f"{looks}; ")
    told |= {f"best {name}": f"{value:.4g}" for name, value in best(coordinator).items()}
    if not is_running:
        told["state"] = coordinator.state
    if progress.num_finished and totals["wall_s"] > 0 and not looks:
        rate = progress.num_finished / totals["wall_s"]
        told["rate"] = f"{60 * rate:.1f}/min"
        if is_running and coordinator.num_left > 0 and not coordinator.problem.rungs:  # with rungs, trials differ
            told["left"] = duration(coordinator.num_left / rate)
    if progress.duplicates:
        told["duplicates"] = str(progress.duplicates)
    return told


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
