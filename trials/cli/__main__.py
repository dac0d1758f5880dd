"""``python -m trials.cli``: the ``nas`` command of this interpreter."""

from trials.cli import main

main()
