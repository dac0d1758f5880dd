"""Which component implements which paper."""

from __future__ import annotations

from typing import Any

from nas.estimators import ESTIMATORS
from nas.export import EXPORTERS
from nas.layouts import LAYOUTS
from nas.ops import OPS
from nas.papers import Paper
from nas.registry import Registry
from nas.space import POLICIES
from nas.sparsity import ALLOCATIONS, PATTERNS, SCHEDULES
from nas.strategies import STRATEGIES
from search_spaces import SPACES
from trials.store.read.protocols import PROTOCOLS

REGISTRIES: tuple[Registry[Any], ...] = (
    *(SPACES, OPS, LAYOUTS, POLICIES, PATTERNS, ALLOCATIONS, SCHEDULES),
    *(STRATEGIES, ESTIMATORS, EXPORTERS, PROTOCOLS),
)


def paper_rows() -> list[dict[str, Any]]:
    """Return ``row, paper, entry, kind, test`` of every registered entry that has a ``Paper``, sorted by row."""
    rows = [
        {"row": paper.row, "paper": paper.citation, "entry": name, "kind": registry.kind, "test": paper.test}
        for registry in REGISTRIES
        for name in registry.names()
        if isinstance(paper := getattr(registry.get(name), "paper", None), Paper)
    ]
    return sorted(rows, key=lambda row: row["row"])
