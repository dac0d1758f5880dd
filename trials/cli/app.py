"""Entry point of the command line: it registers the verbs and turns errors into messages and exit codes."""

from __future__ import annotations

import logging
import sys
from typing import NoReturn

from nas.errors import AllFailedError, NasError, PlaceError, StorageLostError
from trials.cli.console import app, err
from trials.cli.terminal import LogFormatter, drop_output, prepare_streams

#: Exit codes. TO_MEND: the user has to fix the command, the plan or the machine. ALL_FAILED: every candidate of the
#: study failed. INTERRUPTED: a place or the storage stopped working, and `nas resume` continues the study.
TO_MEND, ALL_FAILED, INTERRUPTED = 2, 3, 4


def main() -> None:
    """Run the command; an expected error ends it with one message and an exit code.

    See docs/reference/command-line.md for the exit codes.
    """
    prepare_streams()
    try:
        _check_arguments(sys.argv[1:])
        _run()
    except NasError as error:
        _fail(error)
    except BrokenPipeError:  # the reader closed the pipe, as head does
        drop_output()
        sys.exit(1)
    except OSError as error:  # a problem of the machine, not of this program: a full disk, a folder that vanished
        drop_output()
        _fail(error)


def _run() -> None:
    from trials.cli.commands import register_commands

    register_commands()
    handler = logging.StreamHandler()
    handler.setFormatter(LogFormatter("%(levelname)s %(name)s: %(message)s"))
    logging.basicConfig(level=logging.WARNING, handlers=[handler])
    try:
        app()
    finally:
        sys.stdout.flush()


def _check_arguments(arguments: list[str]) -> None:
    """Refuse arguments that are not UTF-8, because databases, plans and messages can't hold them."""
    for argument in arguments:
        if not _is_utf8(argument):
            raise NasError(f"the argument {argument!a} is not UTF-8; rename the file or folder")


def _is_utf8(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _fail(error: Exception) -> NoReturn:
    err.print("error:", style="bold red", end=" ")
    err.print(f"{type(error).__name__}: {error}", soft_wrap=True)
    if isinstance(error, AllFailedError):
        sys.exit(ALL_FAILED)
    sys.exit(INTERRUPTED if isinstance(error, (PlaceError, StorageLostError)) else TO_MEND)
