"""The ``nas`` command line."""

from __future__ import annotations

import sys


def main() -> None:
    """Run the command; Ctrl-C ends it without a traceback, even while modules are imported."""
    try:
        from trials.cli.app import main as run

        run()
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        sys.exit(130)
