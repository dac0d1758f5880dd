"""A file of JSON values that caches results of timing on this machine."""

from __future__ import annotations

import json
import logging
import os
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class ChoiceCache:
    """Values by key in one file. An unreadable file counts as empty; if it can't be written, nothing is stored."""

    path: Path

    def get(self, key: str) -> Any:
        """The value of a key; None if there is none."""
        return self._read().get(key)

    def put(self, key: str, value: Any) -> None:
        """Store ``value``; other processes read the complete old file or the complete new one."""
        try:
            with tempfile.NamedTemporaryFile("w", dir=self.path.parent, delete=False) as file:
                json.dump({**self._read(), key: value}, file)
            os.replace(file.name, self.path)
        except OSError as error:
            _log.warning("%s can't be written (%s): the next start repeats the timing", self.path, error.strerror)

    def _read(self) -> dict[str, Any]:
        try:
            found = json.loads(self.path.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return {}
        return found if isinstance(found, dict) else {}
