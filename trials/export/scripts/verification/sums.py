"""Reads ``SHA256SUMS``, the hash of every file of an exported folder."""

from pathlib import Path

SUMS = "SHA256SUMS"


def listed(folder: Path) -> list[tuple[str, str]]:
    """Name and hash of every file that ``SHA256SUMS`` lists; a name may be anything, see ``is_inside``.

    Raises:
        OSError, ValueError: the file can't be read.
    """
    lines = [text.partition("  ") for text in (folder / SUMS).read_text(encoding="utf-8").splitlines()]
    return [(name, sha256) for sha256, _, name in lines]


def is_inside(name: str) -> bool:
    """Whether a name in a file of a stranger is a relative path, in normal form, that stays in the folder."""
    return "\\" not in name and not {"", ".", ".."} & set(name.split("/"))
