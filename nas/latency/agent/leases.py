"""The lease of a device: one client holds it, for as long as it keeps renewing it."""

from __future__ import annotations

import hmac
import secrets
import threading
import time

from nas.latency.agent.refusal import Refusal


class Leases:
    """The one lease of a device. Many threads may call it."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self._lock = threading.Lock()
        self._lease = ""
        self._expires = 0.0

    @property
    def held(self) -> bool:
        """Whether a client holds the lease."""
        return bool(self._lease) and time.monotonic() < self._expires

    def take(self) -> str:
        """Take a new lease and return its secret name.

        Raises:
            Refusal: another client holds the lease.
        """
        with self._lock:
            if self.held:
                left_s = self._expires - time.monotonic()
                raise Refusal(409, f"another client holds the lease for {left_s:.0f} s more unless it renews it; wait")
            self._lease = secrets.token_hex(16)
            self._expires = time.monotonic() + self.seconds
            return self._lease

    def renew(self, lease: str) -> None:
        """Extend a lease, because its holder sent something.

        Raises:
            Refusal: the lease has ended or never existed.
        """
        with self._lock:
            if not self.held or not hmac.compare_digest(lease.encode(), self._lease.encode()):
                raise Refusal(410, "this lease has ended or never existed; take a new one")
            self._expires = time.monotonic() + self.seconds

    def end(self, lease: str) -> None:
        """End a lease.

        Raises:
            Refusal: the lease has ended already or never existed.
        """
        self.renew(lease)
        with self._lock:
            self._lease = ""
