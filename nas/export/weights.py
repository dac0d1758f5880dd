"""Weights of a network as a safetensors file: no code in it, unlike a pickle."""

from __future__ import annotations

import os
from pathlib import Path

from safetensors import SafetensorError
from safetensors.torch import load_model, save_model
from torch import nn

from nas.errors import ExportError


def save_weights(model: nn.Module, path: Path) -> None:
    """Write parameters and buffers, atomically; tensors that modules share are written once."""
    partial = path.with_name(f"{path.name}.{os.getpid()}.partial")
    save_model(model, str(partial))  # only its owner may read what this makes, unlike other files
    partial.chmod(0o666 & ~_umask())
    partial.replace(path)


def _umask() -> int:
    found = os.umask(0o022)
    os.umask(found)
    return found


def load_weights(model: nn.Module, path: Path) -> None:
    """Fill ``model`` in place, strictly.

    Raises:
        ExportError: no such file, another format, or the weights of another network.
    """
    try:
        load_model(model, str(path), strict=True)
    except (OSError, SafetensorError, RuntimeError) as error:
        raise ExportError(
            f"{path} can't be loaded into this {type(model).__name__}: {error}; give the weights that were saved from "
            "the same architecture"
        ) from error
