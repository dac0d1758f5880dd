"""The purpose of a study within its group."""

from __future__ import annotations

from typing import Literal

#: The search; the same with a simpler strategy; and what the networks it found are compared with: their dense parents,
#: themselves under random masks of equal density, fixed networks.
Role = Literal["search", "baseline", "dense", "random_mask", "reference"]


def companion_name(study: str, role: Role) -> str:
    """Name of the study beside ``study``: ``digits-random-mask``."""
    return f"{study}-{role.replace('_', '-')}"
