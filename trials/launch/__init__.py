"""Launch: start, resume, extend and delete studies, and estimate their cost.

For Python: ``from trials.launch import search, resume, extend, add_twins``; see ``trials.launch.studies``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from trials.launch.studies import add_twins as add_twins
    from trials.launch.studies import extend as extend
    from trials.launch.studies import resume as resume
    from trials.launch.studies import search as search


def __getattr__(name: str) -> Any:
    """Import the functions that run studies, and with them torch, when one of them is first used."""
    if name not in ("add_twins", "extend", "resume", "search"):
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from trials.launch import studies

    return getattr(studies, name)
