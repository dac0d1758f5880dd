"""The lines of a verification, each with its verdict."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

Verdict = Literal["pass", "warning", "fail", "not judged"]


@dataclass(frozen=True)
class Line:
    """One thing that was checked.

    Attributes:
        check: what was checked.
        verdict: the result; ``not judged`` if there is nothing to compare with.
        found: what was found, in a few words.
        reason: why the verdict is not ``pass``; empty otherwise.
    """

    check: str
    verdict: Verdict
    found: str
    reason: str = ""

    def to_json(self) -> dict[str, Any]:
        """Return the line as JSON values."""
        return asdict(self)


def worst(lines: Sequence[Line]) -> Verdict:
    """Return ``fail`` if a line failed, else ``warning`` if one has a warning, else ``pass``."""
    found = {line.verdict for line in lines}
    return "fail" if "fail" in found else "warning" if "warning" in found else "pass"


def judged(check: str, found: str, *, agrees: bool, reason: str, otherwise: Verdict = "fail") -> Line:
    """Return a line that passes if ``agrees``, and has the verdict ``otherwise`` and the reason if not."""
    return Line(check, "pass", found) if agrees else Line(check, otherwise, found, reason)
