"""A progress bar for studies, in terminals and notebooks."""

from __future__ import annotations

from importlib.util import find_spec
from types import TracebackType
from typing import TYPE_CHECKING, Any

from nas.foreign import line

if TYPE_CHECKING:
    from trials.coordinator.coordinator import Coordinator

#: States of a trial that the bar counts.
_COUNTED = ("complete", "infeasible", "stopped", "failed")


class ProgressBar:
    """Shows one bar per study: finished trials of the budget, their states, and the phase of the preparation.

    Args:
        shown: whether anything is drawn.
    """

    def __init__(self, shown: bool = True) -> None:
        self._shown = shown
        self._bar: Any = None
        self._study = self._text = ""

    def __enter__(self) -> ProgressBar:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._close()

    def prepare(self, study: str, phase: str) -> None:
        """Show the phase of a study's preparation, before its first trial."""
        self._open(study, None)
        self._show(line(phase))

    def update(self, coordinator: Coordinator) -> None:
        """Show the progress of a study."""
        self._open(coordinator.name, coordinator.problem.plan.budget.trials)
        counts = coordinator.progress.counts
        finished = sum(counts[state] for state in _COUNTED)
        states = ", ".join(f"{counts[state]} {state}" for state in (*_COUNTED, "paused") if counts[state])
        self._bar.update(finished - self._bar.n)
        self._show(line(coordinator.phase or states))

    def _open(self, study: str, total: int | None) -> None:
        if self._bar is None or study != self._study:
            self._close()
            self._study = study
            self._bar = _bar_class()(desc=study, total=total, unit="trial", disable=not self._shown)
        if total is not None and self._bar.total != total:
            self._bar.reset(total)

    def _show(self, text: str) -> None:
        """Redraw only if the text changed, because each redraw adds a line to outputs that can't overwrite."""
        if text != self._text:
            self._text = text
            self._bar.set_postfix_str(text)

    def _close(self) -> None:
        if self._bar is not None:
            self._bar.close()
            self._bar = None


def _bar_class() -> Any:
    """Return tqdm's bar for notebooks if ipywidgets is installed, else its text bar."""
    if find_spec("ipywidgets") is not None:
        from tqdm.auto import tqdm
    else:
        from tqdm import tqdm
    return tqdm
