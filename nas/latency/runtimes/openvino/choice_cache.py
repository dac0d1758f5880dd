"""What was found out on this machine once: JSON values in a file of the user's cache."""

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
    """Values by key. A file that can't be read is empty; one that can't be written remembers nothing."""

    path: Path

    def get(self, key: str) -> Any:
        """The value, None where there is none."""
        return self._read().get(key)

    def put(self, key: str, value: Any) -> None:
        """Remember ``value``; other processes read the old file or the new one, never a part."""
        try:
            with tempfile.NamedTemporaryFile("w", dir=self.path.parent, delete=False) as file:
                json.dump({**self._read(), key: value}, file)
            os.replace(file.name, self.path)
        except OSError as error:
            _log.warning("%s can't be written (%s): the same is found out again", self.path, error.strerror)

    def _read(self) -> dict[str, Any]:
        try:
            found = json.loads(self.path.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return {}
        return found if isinstance(found, dict) else {}
