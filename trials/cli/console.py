"""The ``nas`` application that verbs register with, and its standard output and error."""

from __future__ import annotations

import typer

from trials.cli.terminal import Terminal

app = typer.Typer(
    name="nas",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    help="Search networks by accuracy and by latency measured on the hardware they are for.",
)
out = Terminal()
err = Terminal(stderr=True)
