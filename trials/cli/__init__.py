"""The ``nas`` command line."""

from __future__ import annotations

import signal
import sys
from types import FrameType


def main() -> None:
    """Run the command; Ctrl-C ends it without a traceback, even while modules are imported.

    SIGTERM does the same: a cluster sends it before it takes a node back, and a study is then released in order.
    """
    signal.signal(signal.SIGTERM, _interrupt)
    try:
        from trials.cli.app import main as run

        run()
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        sys.exit(130)


def _interrupt(number: int, frame: FrameType | None) -> None:
    signal.signal(signal.SIGTERM, signal.SIG_DFL)  # a second one ends the process at once
    raise KeyboardInterrupt
