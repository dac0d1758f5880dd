"""``python -m measured_nas``: the ``nas`` command of this interpreter."""

import sys

from measured_nas.command import main

if not sys.flags.safe_path:  # Python put the current folder first; a queue.py there would hide the standard module
    folder = sys.path.pop(0)
    from nas.import_path import append_folders

    append_folders([folder])
main()
