"""Seeds made from words and numbers, equal on every machine."""

from __future__ import annotations

import hashlib


def generator_seed(*parts: object) -> int:
    """A seed below 2³¹, made from the text of any values, equal on every machine."""
    text = ":".join(map(str, parts))
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:4], "big") & 0x7FFFFFFF


def seed_of(*parts: int | str) -> int:
    """A seed below 2³², made from any numbers and words, equal on every machine."""
    return int.from_bytes(hashlib.sha256(repr(parts).encode()).digest()[:4], "big")
