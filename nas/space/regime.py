"""Regimes: what a sparse study declares about its sparsity, so that studies can be compared."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Structure = Literal["unstructured", "semi-structured", "structured"]


@dataclass(frozen=True)
class Regime:
    """How weights become sparse."""

    #: When weights are removed, relative to training.
    when: Literal["before", "during", "after"]
    #: Whether removed weights can come back while others are removed.
    dynamic: bool
    #: The structures of all patterns that can be chosen.
    structures: tuple[Structure, ...]
