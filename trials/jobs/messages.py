"""What jobs are given and what they return, as JSON values."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

#: Letters of a structure's hash by which a job is told which structures have a stored latency.
PREFIX = 16
Payload = Mapping[str, Any]
Result = dict[str, Any]
