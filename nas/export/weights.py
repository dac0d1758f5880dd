"""Weights of a network in a safetensors file, which contains no code, unlike a pickle."""

from __future__ import annotations

import os
from pathlib import Path

from safetensors import SafetensorError
from safetensors.torch import load_model, save_model
from torch import nn

from nas.errors import ExportError


def save_weights(model: nn.Module, path: Path) -> None:
    """Write parameters and buffers atomically; a tensor that modules share is written once.

    Raises:
        OSError: the file can't be written, for example because the disk is full.
    """
    partial = path.with_name(f"{path.name}.{os.getpid()}.partial")
    try:
        save_model(model, str(partial))  # only its owner may read what this makes, unlike other files
    except SafetensorError as error:
        partial.unlink(missing_ok=True)
        raise OSError(f"{path} can't be written: {error}") from error
    partial.chmod(0o666 & ~_umask())
    partial.replace(path)


def _umask() -> int:
    found = os.umask(0o022)
    os.umask(found)
    return found


def load_weights(model: nn.Module, path: Path) -> None:
    """Load all weights of ``model`` in place; every tensor must be in the file and vice versa.

    Raises:
        ExportError: there is no such file, it has another format, or it has the weights of another network.
    """
    try:
        load_model(model, str(path), strict=True)
    except (OSError, SafetensorError, RuntimeError) as error:
        raise ExportError(
            f"{path} can't be loaded into this {type(model).__name__}: {error}; give the weights that were saved from "
            "the same architecture"
        ) from error
