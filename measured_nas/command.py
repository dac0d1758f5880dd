"""The installed ``nas`` command; it refuses to start if Python finds other packages with the names of its own."""

from __future__ import annotations

import sys

from measured_nas.packages import check_packages

#: Exit code for problems that the user has to fix before the command can run.
TO_MEND = 2


def main() -> None:
    """Run the command line."""
    try:
        check_packages()
    except ImportError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(TO_MEND)
    from trials.cli import main as run

    run()
