"""``python -m dashboard PORT HOST``: serve the database that ``NAS_STORAGE`` names."""

from __future__ import annotations

import os
import sys

from dashboard.launch import command

port, host = sys.argv[1:]
line = command("", int(port), host)
os.execv(line[0], line)
