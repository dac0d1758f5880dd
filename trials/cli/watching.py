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
            told = {key: shown(value) for key, value in facts.items() if value not in (None, {}, "")}
            over = facts["state"] not in LIVE
            if table:
                table.update(facts_table(told), refresh=True)
            else:
                log.tell({key: told[key] for key in told if key not in UNTOLD}, over=over)
            if over:
                return
            time.sleep(EVERY_S)
