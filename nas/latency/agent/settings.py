"""Settings of an agent, and reading its token."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from nas.errors import MeasureError
from nas.latency.agent import PORT

MIN_LETTERS = 16
SHORTEST_LEASE_S = 2.0


@dataclass(frozen=True)
class Settings:
    """Options of an agent; with the defaults it serves only this machine."""

    #: File with the token that every request must show; readable by its owner only.
    token_file: str
    #: Port to listen at; 0 for any free one.
    port: int = PORT
    #: Address to listen at: loopback is this machine, 0.0.0.0 the whole network.
    host: str = "127.0.0.1"
    #: Files of the TLS certificate and its key. Without TLS, the token and all data can be read on the network.
    tls_cert: str = ""
    tls_key: str = ""
    #: Size of the largest artifact, MiB.
    max_mb: int = 512
    #: Memory that a measuring process may allocate for data, MiB; 0 for as much as the machine has.
    memory_mb: int = 0
    #: Seconds after which an unused lease ends.
    lease_s: float = 60.0
    #: Seconds within which a client must send its request; an upload gets more, by its size.
    request_s: float = 10.0
    #: Seconds that the work for one request may take; after that, the measuring process is ended.
    work_s: float = 600.0

    def __post_init__(self) -> None:
        if self.lease_s < SHORTEST_LEASE_S:
            raise MeasureError(
                f"lease_s is {self.lease_s:g}; leases are renewed about every second, so it must be at least 2"
            )
        if bool(self.tls_cert) != bool(self.tls_key):
            raise MeasureError("TLS needs both --tls-cert and --tls-key")
        if not 0 <= self.port < 1 << 16:
            raise MeasureError(f"port {self.port}; a port is a number up to 65535, 0 for any free one")
        for name in ("max_mb", "request_s", "work_s"):
            if (value := getattr(self, name)) <= 0:
                raise MeasureError(f"{name} is {value:g}; give a number above 0")
        if self.memory_mb < 0:
            raise MeasureError(f"memory_mb is {self.memory_mb}; give a number above 0, or 0 for the machine's memory")
        read_token(self.token_file)

    @property
    def memory_bytes(self) -> int:
        """Bytes that a measuring process may allocate for data."""
        return self.memory_mb << 20 or os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def read_token(file: str) -> str:
    """Read the token in a file.

    Raises:
        MeasureError: the file can't be read, other users may read it, or it holds no valid token.
    """
    try:
        token = Path(file).read_text().strip()
        mode = os.stat(file).st_mode
    except (OSError, UnicodeDecodeError) as error:
        raise MeasureError(
            f"can't read the token in {file}: {error}; make one with "
            "python3 -c 'import secrets; print(secrets.token_hex(32))' and give both sides the same"
        ) from None
    if mode & 0o077:
        raise MeasureError(f"the token file {file} can be read by others (mode {mode & 0o777:o}); chmod 600 {file}")
    if len(token) < MIN_LETTERS or not token.isascii() or not token.isprintable() or " " in token:
        raise MeasureError(
            f"the token in {file} must have at least {MIN_LETTERS} printable ASCII characters and no spaces"
        )
    return token
