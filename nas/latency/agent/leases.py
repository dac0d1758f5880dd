"""Who may use the device: one at a time, for as long as they are heard of."""

from __future__ import annotations

import hmac
import secrets
import threading
import time

from nas.latency.agent.refusal import Refusal


class Leases:
    """The one lease of a device. Used by many threads."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self._lock = threading.Lock()
        self._lease = ""
        self._expires = 0.0

    @property
    def held(self) -> bool:
        """Whether somebody holds it."""
        return bool(self._lease) and time.monotonic() < self._expires

    def take(self) -> str:
        """A new lease.

        Raises:
            Refusal: somebody holds it.
        """
        with self._lock:
            if self.held:
                left_s = self._expires - time.monotonic()
                raise Refusal(409, f"another holds the lease, for {left_s:.0f} s more if not heard of again; wait")
            self._lease = secrets.token_hex(16)
            self._expires = time.monotonic() + self.seconds
            return self._lease

    def renew(self, lease: str) -> None:
        """Note that its holder was heard of.

        Raises:
            Refusal: it ended, or never was.
        """
        with self._lock:
            if not self.held or not hmac.compare_digest(lease.encode(), self._lease.encode()):
                raise Refusal(410, "this lease ended or never was; take a new one")
            self._expires = time.monotonic() + self.seconds

    def end(self, lease: str) -> None:
        """Give it back.

        Raises:
            Refusal: it ended before, or never was.
        """
        self.renew(lease)
        with self._lock:
            self._lease = ""
