"""What a registered name takes from a paper, and the test that decides that it does."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Paper:
    """One row of the catalogue of papers; entries carry it as their attribute ``paper``."""

    row: int
    citation: str
    #: Id of the deciding test, ``file::function``.
    test: str

    def __str__(self) -> str:
        return f"{self.row}: {self.citation}"
