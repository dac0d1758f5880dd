"""Regimes: what a sparse study has to say about itself, so that others can be compared with it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Structure = Literal["unstructured", "semi-structured", "structured"]


@dataclass(frozen=True)
class Regime:
    """How weights become sparse."""

    #: Relative to training.
    when: Literal["before", "during", "after"]
    #: Whether weights come back while others go.
    dynamic: bool
    #: Every one there is to choose from.
    structures: tuple[Structure, ...]
