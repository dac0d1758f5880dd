"""The purpose of a study within its group."""

from __future__ import annotations

from typing import Literal

#: The search; the same study with a simpler strategy; and the studies that the search's networks are compared with: the
#: networks dense, the networks under random masks of equal density, and fixed reference networks.
Role = Literal["search", "baseline", "dense", "random_mask", "reference"]


def companion_name(study: str, role: Role) -> str:
    """Name of the study beside ``study``: ``digits-random-mask``."""
    return f"{study}-{role.replace('_', '-')}"
