"""Seeds that do not depend on the process, the platform or the library's version."""

from __future__ import annotations

import hashlib


def suggestion_seed(seed: int, number: int) -> int:
    """The 32-bit seed of suggestion ``number`` in a study with the seed ``seed``."""
    digest = hashlib.sha256(f"{seed}:{number}".encode()).digest()
    return int.from_bytes(digest[:4], "big")
