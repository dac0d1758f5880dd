"""A request that is not served."""

from __future__ import annotations

from nas.errors import MeasureError


class Refusal(MeasureError):
    """Why, and the HTTP status that says so."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status
