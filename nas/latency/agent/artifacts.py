"""Stores the file to measure in a private folder of its lease, under its hash."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

from nas.errors import MeasureError
from nas.latency.agent.onnx_files import check_self_contained
from nas.latency.agent.refusal import Refusal

CHUNK_BYTES = 1 << 18
_SHA256 = re.compile(r"[0-9a-f]{64}")


class Artifacts:
    """Keeps one file of one lease at a time. The only name that a client gives is a hash, whose form is checked.

    Callers check that a lease is valid before they pass it.
    """

    def __init__(self, folder: Path, max_bytes: int) -> None:
        self.max_bytes = max_bytes
        self._folder = folder

    def receive(self, lease: str, sha256: str, stream: BinaryIO, size: int, on_chunk: Callable[[], None]) -> None:
        """Store ``size`` bytes of a stream as the file with that hash, and remove the file before it.

        Args:
            lease: the lease that the file belongs to.
            sha256: hash of the file, 64 lower-case hexadecimal digits.
            stream: source of the bytes.
            size: number of bytes, as the client announced it.
            on_chunk: called after each chunk that was stored.

        Raises:
            Refusal: the bytes are too many, too few, do not have the hash, or are not a self-contained ONNX file.
        """
        path = self._path(lease, sha256)
        if size > self.max_bytes:
            raise Refusal(413, f"the file has {size} bytes; this agent takes at most {self.max_bytes}, see --max-mb")
        self.clear()
        path.parent.mkdir()
        part = path.with_suffix(".part")
        try:
            found = _copy(stream, size, part, on_chunk)
            if found != sha256:
                raise Refusal(422, f"the bytes received have the SHA-256 {found}, not {sha256}; send the file again")
            try:
                check_self_contained(part)
            except MeasureError as error:
                raise Refusal(422, str(error)) from None
            os.replace(part, path)
        finally:
            part.unlink(missing_ok=True)

    def path(self, lease: str, sha256: str) -> Path:
        """The path of the file with a hash that was received under a lease.

        Raises:
            Refusal: there is no such file.
        """
        path = self._path(lease, sha256)
        if not path.is_file():
            raise Refusal(404, f"there is no artifact {sha256}; send it first, under the same lease")
        return path

    def clear(self) -> None:
        """Remove the files of all leases."""
        for path in self._folder.iterdir():
            shutil.rmtree(path)

    def _path(self, lease: str, sha256: str) -> Path:
        if not _SHA256.fullmatch(sha256):
            raise Refusal(404, "an artifact's name is its SHA-256, 64 lower-case hexadecimal digits")
        return self._folder / hashlib.sha256(lease.encode()).hexdigest() / f"{sha256}.onnx"


def _copy(stream: BinaryIO, size: int, path: Path, on_chunk: Callable[[], None]) -> str:
    """Copy ``size`` bytes to a new file and return their hash."""
    digest, left = hashlib.sha256(), size
    try:
        with path.open("xb") as file:
            while left:
                chunk = stream.read(min(left, CHUNK_BYTES))
                if not chunk:
                    raise Refusal(400, f"the body ended {left} bytes early")
                digest.update(chunk)
                file.write(chunk)
                left -= len(chunk)
                on_chunk()
    except OSError as error:
        if isinstance(error, (ConnectionError, TimeoutError)) or error.errno is None:
            raise
        raise Refusal(507, f"can't store the file: {error.strerror}") from None
    return digest.hexdigest()
