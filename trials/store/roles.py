"""The purpose of a study within its group."""

from __future__ import annotations

from typing import Literal

#: ``search``; ``baseline``: the same plan with a simpler strategy; ``dense`` and ``random_mask``: companions that train
#: the search's networks dense, or under random masks of equal density; ``reference``: a fixed network to compare with.
Role = Literal["search", "baseline", "dense", "random_mask", "reference"]


def companion_name(study: str, role: Role) -> str:
    """Name of the companion of ``study`` with this role, such as ``digits-random-mask``."""
    return f"{study}-{role.replace('_', '-')}"
