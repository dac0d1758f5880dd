"""Files of candidates, stored at any URI that fsspec supports and named by their content."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, NamedTuple
from uuid import uuid4

import fsspec

from nas.errors import StoreError

#: Name of the folder of all artifacts in a plan's root.
ARTIFACTS = "artifacts"


class Stored(NamedTuple):
    """The place, hash and size of a stored file."""

    uri: str
    sha256: str
    size_bytes: int


class ArtifactStore:
    """A study's folder of files at a URI; a root without a scheme is a folder of this machine."""

    def __init__(self, root: str) -> None:
        self.root = (root if "://" in root else str(Path(root).expanduser().absolute())).rstrip("/")

    def put(self, path: Path, owner: int | str, kind: str) -> Stored:
        """Store a copy of a file; the same content is stored once.

        Args:
            path: the file.
            owner: folder of the file in the root: the number of its candidate, or a word.
            kind: kind of the file, the beginning of its name.

        Raises:
            StoreError: the root can't be reached or written.
        """
        digest = file_sha256(path)
        uri = f"{self.root}/{owner}/{kind}-{digest[:16]}{path.suffix}"
        with _reached(uri) as (filesystem, place):
            filesystem.makedirs(place.rsplit("/", 1)[0], exist_ok=True)
            # Readers never see a partial file, and two writers of the same file do not interfere.
            partial = f"{place}.{uuid4().hex}.partial"
            try:
                filesystem.put_file(str(path), partial)
                filesystem.mv(partial, place)
            except BaseException:
                with suppress(FileNotFoundError):
                    filesystem.rm_file(partial)
                raise
        return Stored(uri, digest, path.stat().st_size)

    def fetch(self, uri: str, sha256: str, to: Path) -> None:
        """Copy a stored file to ``to`` and check its hash.

        Raises:
            StoreError: the file is missing, can't be reached, or has another hash.
        """
        with _reached(uri) as (filesystem, place):
            if not filesystem.exists(place):
                raise StoreError(
                    f"{uri} does not exist any more; set artifacts.retention to all to keep every file, or train the "
                    "candidate again"
                )
            filesystem.get_file(place, str(to))
        found = file_sha256(to)
        if found != sha256:
            to.unlink()
            raise StoreError(
                f"{uri} was changed or damaged: its sha256 is {found}, expected {sha256}; restore it from a copy, or "
                "train the candidate again"
            )

    def delete(self, uri: str) -> None:
        """Remove a file, if it exists.

        Raises:
            StoreError: it can't be reached or removed.
        """
        with _reached(uri) as (filesystem, place), suppress(FileNotFoundError):
            filesystem.rm_file(place)

    def delete_all(self) -> None:
        """Remove the folder with all files in it, also those of abandoned jobs; links are not followed.

        Raises:
            StoreError: it can't be reached or removed.
        """
        with _reached(self.root) as (filesystem, place), suppress(FileNotFoundError):
            filesystem.rm(place, recursive=True)


def file_sha256(path: Path) -> str:
    """SHA-256 of a file's content, in hexadecimal digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@contextmanager
def _reached(uri: str) -> Iterator[tuple[Any, str]]:
    """The file system and path of a URI; errors in the block are raised as StoreError."""
    try:
        yield fsspec.url_to_fs(uri)
    except ImportError as error:
        raise StoreError(f"{uri} can't be reached: {error}") from error  # fsspec names the package to install
    except ValueError as error:
        raise StoreError(
            f"{uri} can't store files: {error}; write a folder, or a URI such as s3://bucket/folder"
        ) from error
    except OSError as error:
        raise StoreError(
            f"{uri} can't be read or written: {error}; allow this user to, or set artifacts.root to another folder or "
            "URI"
        ) from error
