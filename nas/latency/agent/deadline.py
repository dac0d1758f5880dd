"""Reading from a socket up to a deadline, so that a client that sends slowly can't occupy a thread forever."""

from __future__ import annotations

import io
import socket
import time
from typing import Any


class DeadlineReader(io.RawIOBase):
    """A stream of the bytes that a socket receives; it raises ``socket.timeout`` once ``deadline`` has passed."""

    def __init__(self, connection: socket.socket, seconds: float) -> None:
        """Set the deadline ``seconds`` from now."""
        self._connection = connection
        self.deadline = time.monotonic() + seconds

    def readable(self) -> bool:
        """Return True: the stream can be read."""
        return True

    def readinto(self, buffer: Any) -> int:
        """Receive available bytes into a buffer and return their number."""
        left_s = self.deadline - time.monotonic()
        if left_s <= 0:
            raise socket.timeout("the request takes too long")  # noqa: UP041 — a class of its own before Python 3.10
        self._connection.settimeout(left_s)
        return self._connection.recv_into(buffer)
