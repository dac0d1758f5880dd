"""The ``nas`` command as it is installed: it starts only with the packages of its own distribution."""

from __future__ import annotations

import sys

from measured_nas.packages import check_packages

#: The exit code of everything that is to be mended before the command can run.
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
