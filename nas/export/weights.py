"""Weights as safetensors."""

from __future__ import annotations

from pathlib import Path

from safetensors.torch import load_file, save_file
from torch import nn

from nas.errors import ExportError


def save_weights(model: nn.Module, path: Path) -> None:
    """Write parameters and buffers under their state-dict keys."""
    save_file({key: value.detach().cpu().contiguous() for key, value in model.state_dict().items()}, str(path))


def load_weights(model: nn.Module, path: Path) -> None:
    """Read what ``save_weights`` wrote.

    Raises:
        ExportError: the file is of another architecture, with the first keys that differ.
    """
    tensors = load_file(str(path))
    expected = model.state_dict()
    wrong = sorted(set(tensors) ^ set(expected)) or sorted(
        key for key, value in tensors.items() if value.shape != expected[key].shape
    )
    if wrong:
        raise ExportError(f"{path} holds weights of another architecture: {', '.join(wrong[:3])} do not fit")
    model.load_state_dict(tensors)
