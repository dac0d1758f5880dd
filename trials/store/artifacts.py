"""Files of candidates, at any URI fsspec knows, named by their content."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import NamedTuple

import fsspec

from nas.errors import StoreError


class Stored(NamedTuple):
    """Where a file went, and what it is."""

    uri: str
    sha256: str
    size_bytes: int


class ArtifactStore:
    """A folder of files under one root URI."""

    def __init__(self, root: str) -> None:
        self.root = root.rstrip("/")

    def put(self, path: Path, study: str, candidate: int, kind: str) -> Stored:
        """Copy a file in; putting the same content twice is one file."""
        digest = file_sha256(path)
        uri = f"{self.root}/{study}/{candidate}/{kind}-{digest[:16]}{path.suffix}"
        filesystem, place = fsspec.url_to_fs(uri)
        filesystem.makedirs(place.rsplit("/", 1)[0], exist_ok=True)
        # A reader never sees half a file.
        filesystem.put_file(str(path), f"{place}.partial")
        filesystem.mv(f"{place}.partial", place)
        return Stored(uri, digest, path.stat().st_size)

    def fetch(self, uri: str, sha256: str, to: Path) -> None:
        """Copy a file out and check it.

        Raises:
            StoreError: it is gone, or holds something else.
        """
        filesystem, place = fsspec.url_to_fs(uri)
        try:
            filesystem.get_file(place, str(to))
        except FileNotFoundError:
            raise StoreError(
                f"{uri} is gone; keep more with artifacts.retention: all, or train the candidate again"
            ) from None
        found = file_sha256(to)
        if found != sha256:
            to.unlink()
            raise StoreError(f"{uri} does not hold what was stored: sha256 {found}, expected {sha256}")

    def delete(self, uri: str) -> None:
        """Remove a file; one that is gone already is no error."""
        filesystem, place = fsspec.url_to_fs(uri)
        if filesystem.exists(place):
            filesystem.rm_file(place)


def file_sha256(path: Path) -> str:
    """Hash of a file's content."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
