"""What every page and section is given."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from trials.store.read.session import Source


@dataclass(frozen=True)
class Context:
    """What a page gets: where to read, and the pages it can lead to by name."""

    source: Source
    #: Module name → streamlit's page.
    pages: Mapping[str, Any]
