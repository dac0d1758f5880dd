"""The ``nas`` application, with which verbs register, and its standard output and error."""

from __future__ import annotations

import typer

from trials.cli.terminal import Terminal
from trials.cli.verbs import Verbs

app = typer.Typer(
    name="nas",
    cls=Verbs,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    help="Search for neural networks by accuracy and by latency measured on the target hardware.",
)
out = Terminal()
err = Terminal(stderr=True)
