"""Says whether a file is whole, without its hash."""

import ast
import json
import struct
import zipfile
from pathlib import Path

from trials.export.scripts.verification import onnx_file


def is_cut_off(path: Path) -> bool | None:
    """Whether a file can't be read to its end; None for formats that have no end."""
    check = _CHECKS.get(path.suffix)
    if check is None:
        return None
    try:
        check(path)
    except Exception:  # readers raise errors of every kind on damaged files
        return True
    return False


def _check_safetensors(path: Path) -> None:
    content = path.read_bytes()
    (size,) = struct.unpack("<Q", content[:8])
    header = json.loads(content[8 : 8 + size])
    ends = [item["data_offsets"][1] for name, item in header.items() if name != "__metadata__"]
    if len(content) < 8 + size + max(ends, default=0):
        raise ValueError("tensors are missing")


def _check_zip(path: Path) -> None:
    with zipfile.ZipFile(path):
        pass


_CHECKS = {
    ".json": lambda path: json.loads(path.read_text(encoding="utf-8")),
    ".npz": _check_zip,
    ".onnx": lambda path: onnx_file.describe(path.read_bytes()),
    ".pt2": _check_zip,
    ".py": lambda path: ast.parse(path.read_text(encoding="utf-8")),
    ".safetensors": _check_safetensors,
}
