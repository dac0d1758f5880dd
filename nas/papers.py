"""Which paper a component implements, and the test that checks it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Paper:
    """One row of the catalogue of papers; components have it as their attribute ``paper``."""

    row: int
    citation: str
    #: Id of the test that checks the implementation, ``file::function``.
    test: str

    def __str__(self) -> str:
        return f"{self.row}: {self.citation}"
