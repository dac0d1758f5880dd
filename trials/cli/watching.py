"""Follow a study from outside: what ``nas status`` shows, again and again."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from contextlib import nullcontext
from typing import Any

from rich.console import Console
from rich.live import Live

from trials.cli.changes import ChangeLog, facts_table
from trials.cli.layout import shown
from trials.reporting.labels import duration
from trials.store.read.states import LIVE

EVERY_S = 2.0
#: Facts that lines leave out: totals change all the time.
UNTOLD = ("totals", "saved_s")


def follow(console: Console, read: Callable[[], Mapping[str, Any]]) -> None:
    """Show facts of a study until it has ended, or until Ctrl-C; without a terminal, only what has changed.

    Args:
        console: where to print.
        read: returns the facts now; ``study`` and ``state`` are two of them.
    """
    log = ChangeLog(console)
    with Live(console=console, auto_refresh=False) if console.is_terminal else nullcontext() as table:
        while True:
            facts = read()
            told = readable(facts)
            over = facts["state"] not in LIVE
            if table:
                table.update(facts_table(told), refresh=True)
            else:
                log.tell({key: told[key] for key in told if key not in UNTOLD}, over=over)
            if over:
                return
            time.sleep(EVERY_S)


def readable(facts: Mapping[str, Any]) -> dict[str, str]:
    """Return the text of each fact that is known: limits as words, seconds as durations."""
    words: dict[str, Callable[[Any], str]] = {"limits": _limits, "totals": _totals, "saved_s": _durations}
    told = {key: words.get(key, shown)(value) for key, value in facts.items() if value not in (None, {})}
    return {key: text for key, text in told.items() if text}


def _limits(limits: Mapping[str, Mapping[str, float | None]]) -> str:
    """``latency_ms at most 0.5; accuracy at least 0.9``."""
    return "; ".join(
        f"{metric} {'at most' if kind == 'max' else 'at least'} {shown(bound)}"
        for metric, bounds in limits.items()
        for kind, bound in bounds.items()
        if bound is not None
    )


def _totals(totals: Mapping[str, float]) -> str:
    """``wall 4 min 22 s, trained 21``: names that end in ``_s`` are seconds, others are counts."""
    counts = [f"{name} {shown(count)}" for name, count in totals.items() if not name.endswith("_s")]
    seconds = {name.removesuffix("_s"): value for name, value in totals.items() if name.endswith("_s")}
    return ", ".join([part for part in (_durations(seconds), *counts) if part])


def _durations(seconds: Mapping[str, float]) -> str:
    """``wall 4 min 22 s, train 3 min 08 s``, without those below a millisecond."""
    return ", ".join(f"{name} {duration(value)}" for name, value in seconds.items() if value >= 1e-3)
