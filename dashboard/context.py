"""The context that every page and some sections receive."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from trials.store.read.session import Source


@dataclass(frozen=True)
class Context:
    """The database to read, and the pages that can be linked to."""

    source: Source
    #: Module name → streamlit's page.
    pages: Mapping[str, Any]
