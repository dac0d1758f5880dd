"""``python -m trials.cli``: the ``nas`` command of this interpreter."""

import sys

from trials.cli import main

if not sys.flags.safe_path:  # Python put the current folder first: a queue.py in it would stand for Python's own
    sys.path.append(sys.path.pop(0))
main()
