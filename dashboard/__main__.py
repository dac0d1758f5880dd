"""``python -m dashboard PORT HOST [--allow-actions]``: serve the database that ``NAS_STORAGE`` names.

If ``NAS_DASHBOARD_PASSWORD`` is set, visitors have to give this password.
"""

from __future__ import annotations

import os
import sys

from dashboard.gate import PASSWORD
from dashboard.launch import ALLOW_ACTIONS, command

port, host, *options = sys.argv[1:]
line = command("", int(port), host, allow_actions=ALLOW_ACTIONS in options, gated=bool(os.environ.get(PASSWORD)))
os.execv(line[0], line)
