"""The error of a request that the agent refuses."""

from __future__ import annotations

from nas.errors import MeasureError


class Refusal(MeasureError):
    """A request that the agent refuses, with the reason and the HTTP status of the answer."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status
