"""``python -m measured_nas``: the ``nas`` command of this interpreter."""

import sys
from importlib import import_module

from measured_nas.command import main

if not sys.flags.safe_path:  # Python put the current folder first; a queue.py there would hide the standard module
    folder = sys.path.pop(0)
    for package in ("dashboard", "nas", "search_spaces", "trials"):  # an editable install comes after all folders
        import_module(package)
    sys.path.append(folder)
main()
