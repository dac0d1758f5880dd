"""The agent's open connections. When there are too many, the oldest that has not shown the token is closed."""

from __future__ import annotations

import socket
import threading
from contextlib import suppress

#: Largest number of open connections; each has a thread.
MAX_CONNECTIONS = 64


class Connections:
    """The open connections, oldest first. Many threads may call it."""

    def __init__(self, max_connections: int = MAX_CONNECTIONS) -> None:
        self._max_connections = max_connections
        self._lock = threading.Lock()
        #: Number of a connection that has not shown the token yet → its socket.
        self._unproven: dict[int, socket.socket] = {}
        self._proven: set[int] = set()

    def admit(self, number: int, connection: socket.socket) -> bool:
        """Register a new connection and return whether it may stay.

        If there are too many connections, the oldest one that has not shown the token is closed; if all have shown
        it, the new connection may not stay.
        """
        with self._lock:
            if len(self._unproven) + len(self._proven) >= self._max_connections:
                if not self._unproven:
                    return False
                _cut(self._unproven.pop(next(iter(self._unproven))))
            self._unproven[number] = connection
            return True

    def wrap(self, number: int, connection: socket.socket) -> None:
        """Register the socket that replaces a connection's socket, such as a TLS socket around it."""
        with self._lock:
            if number in self._unproven:
                self._unproven[number] = connection
            else:
                _cut(connection)

    def prove(self, number: int) -> None:
        """Register that a connection has shown the token; it then stays until it ends."""
        with self._lock:
            if self._unproven.pop(number, None) is not None:
                self._proven.add(number)

    def leave(self, number: int) -> None:
        """Forget a connection that has ended."""
        with self._lock:
            self._unproven.pop(number, None)
            self._proven.discard(number)


def _cut(connection: socket.socket) -> None:
    """End a connection that another thread reads from; that thread then reads the end of the stream."""
    with suppress(OSError):  # the TLS socket's own method would change its state while the other thread reads
        socket.socket.shutdown(connection, socket.SHUT_RDWR)
