"""Checkpoints of a training: written atomically, and read without executing code."""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from nas.estimators import Epoch

STATE = "training.json"
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Position:
    """The position of a training. All random numbers and schedules are functions of it."""

    #: Hash of network, data, recipe and seed, which identifies the training.
    key: str
    epoch: int
    #: Number of finished batches of this epoch.
    batch: int
    #: Sum of the losses of the finished batches.
    loss_sum: float
    #: Seconds spent on the finished batches.
    seconds: float
    curve: tuple[Epoch, ...]


@dataclass(frozen=True)
class Saved:
    """The content of a checkpoint."""

    position: Position
    #: State of the network.
    model: Mapping[str, Tensor]
    #: State of the averaged network; None if the recipe does not average.
    average: Mapping[str, Tensor] | None
    #: State dicts of the optimizer and the gradient scaler.
    optimizer: Mapping[str, Any]


def save(folder: Path, saved: Saved) -> None:
    """Replace the folder's checkpoint; after a crash at any moment, the folder has the old one or the new one."""
    position = saved.position
    stem = f"training-{position.epoch}-{position.batch}"
    files = {"model": f"{stem}.model.safetensors", "optimizer": f"{stem}.optimizer.pt"}
    _replace(folder / files["model"], lambda path: save_file(_plain(saved.model), path))
    _replace(folder / files["optimizer"], lambda path: torch.save(dict(saved.optimizer), path))
    if saved.average is not None:
        average = _plain(saved.average)
        files["average"] = f"{stem}.average.safetensors"
        _replace(folder / files["average"], lambda path: save_file(average, path))
    # Writing this file makes the new files the folder's checkpoint.
    state = json.dumps({"version": 1, "position": asdict(position), "files": files})
    _replace(folder / STATE, lambda path: path.write_text(state))
    for old in folder.glob("training-*"):
        if old.name not in files.values():
            old.unlink(missing_ok=True)


def load(folder: Path, key: str) -> Saved | None:
    """Load the folder's checkpoint of the training ``key``; None if there is no usable one."""
    if not (folder / STATE).exists():
        return None
    try:
        state = json.loads((folder / STATE).read_text())
        if state["version"] != 1 or state["position"]["key"] != key:
            _log.warning("%s is the checkpoint of another training; the training starts again", folder)
            return None
        return _read(folder, state)
    except Exception as error:  # readers of damaged files may raise anything
        _log.warning("the checkpoint in %s can't be read (%s); the training starts again", folder, error)
        return None


def _read(folder: Path, state: Any) -> Saved:
    files, position = state["files"], state["position"]
    curve = tuple(Epoch(**epoch) for epoch in position["curve"])
    return Saved(
        position=Position(**{**position, "curve": curve}),
        model=load_file(folder / files["model"]),
        average=load_file(folder / files["average"]) if "average" in files else None,
        optimizer=torch.load(folder / files["optimizer"], map_location="cpu", weights_only=True),
    )


def _plain(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Contiguous copies on the CPU that share no memory, as safetensors requires."""
    return {
        name: value.detach().to("cpu", copy=True).clone(memory_format=torch.contiguous_format)
        for name, value in state.items()
    }


def _replace(path: Path, write: Callable[[Path], Any]) -> None:
    partial = path.with_name(f"{path.name}.partial")
    write(partial)
    os.replace(partial, path)
