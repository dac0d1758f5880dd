"""Who is connected. Whoever has not shown the token yet makes way for those who come later."""

from __future__ import annotations

import socket
import threading
from contextlib import suppress

#: Connections at a time, each with a thread.
MAX_CONNECTIONS = 64


class Connections:
    """The open connections, oldest first. Used by many threads."""

    def __init__(self, max_connections: int = MAX_CONNECTIONS) -> None:
        self._max_connections = max_connections
        self._lock = threading.Lock()
        #: Number of a connection → its socket, while it has not shown the token.
        self._unproven: dict[int, socket.socket] = {}
        self._proven: set[int] = set()

    def admit(self, number: int, connection: socket.socket) -> bool:
        """Note a new connection; where there are too many, the oldest unproven one is cut off. Whether it may stay."""
        with self._lock:
            if len(self._unproven) + len(self._proven) >= self._max_connections:
                if not self._unproven:
                    return False
                _cut(self._unproven.pop(next(iter(self._unproven))))
            self._unproven[number] = connection
            return True

    def wrap(self, number: int, connection: socket.socket) -> None:
        """Note the socket that has taken a connection's place."""
        with self._lock:
            if number in self._unproven:
                self._unproven[number] = connection
            else:
                _cut(connection)

    def prove(self, number: int) -> None:
        """Note that a connection has shown the token: it stays until it ends."""
        with self._lock:
            if self._unproven.pop(number, None) is not None:
                self._proven.add(number)

    def leave(self, number: int) -> None:
        """Note the end of a connection."""
        with self._lock:
            self._unproven.pop(number, None)
            self._proven.discard(number)


def _cut(connection: socket.socket) -> None:
    """End a connection that another thread reads: it reads the end."""
    with suppress(OSError):  # not by TLS's own method, which would change its state under the reader
        socket.socket.shutdown(connection, socket.SHUT_RDWR)
