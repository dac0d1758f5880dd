"""Read from a socket until a point in time: a byte now and then does not hold a thread for ever."""

from __future__ import annotations

import io
import socket
import time
from typing import Any


class DeadlineReader(io.RawIOBase):
    """What a socket receives, as a stream that raises ``socket.timeout`` once ``deadline`` has passed."""

    def __init__(self, connection: socket.socket, seconds: float) -> None:
        """``seconds`` from now on."""
        self._connection = connection
        self.deadline = time.monotonic() + seconds

    def readable(self) -> bool:
        """Always."""
        return True

    def readinto(self, buffer: Any) -> int:
        """Fill a buffer with what is there; how many bytes."""
        left_s = self.deadline - time.monotonic()
        if left_s <= 0:
            raise socket.timeout("the request takes too long")  # noqa: UP041 — another class before Python 3.10
        self._connection.settimeout(left_s)
        return self._connection.recv_into(buffer)
