"""The command line's root: verbs, error handling, logging."""

from __future__ import annotations

import logging
import sys

import typer
from rich.console import Console

from nas.errors import NasError

app = typer.Typer(
    name="nas",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="Search networks by accuracy and by latency measured on the hardware they are for.",
)
#: A file or a pipe has no width to fold tables to.
out = Console(width=None if sys.stdout.isatty() else 240)
err = Console(stderr=True)


def main() -> None:
    """Entry point: a deliberate error becomes one message and exit code 2, Ctrl-C 130."""
    from trials.cli import export, inspection, planning, searching, targets  # noqa: F401  (they register their verbs)

    logging.basicConfig(level=logging.WARNING, format="%(levelname)s %(name)s: %(message)s")
    try:
        app()
    except NasError as error:
        err.print(f"[bold red]error:[/] {type(error).__name__}: ", end="")
        err.print(str(error), markup=False, highlight=False, soft_wrap=True)
        sys.exit(2)
    except KeyboardInterrupt:
        err.print("interrupted")
        sys.exit(130)
