"""A training's state on disk: written whole or not at all, read without executing anything."""

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
    """Where a training is. Everything random and scheduled is a function of it."""

    #: Hash of network, data, recipe and seed: which training this is.
    key: str
    epoch: int
    #: Batches of this epoch that are done.
    batch: int
    #: Sum of their losses.
    loss_sum: float
    #: Seconds spent on them.
    seconds: float
    curve: tuple[Epoch, ...]


@dataclass(frozen=True)
class Saved:
    """What a checkpoint holds."""

    position: Position
    #: The network's state; an averaged one has its own.
    model: Mapping[str, Tensor]
    average: Mapping[str, Tensor] | None
    #: State dicts of the optimizer and what belongs to it.
    optimizer: Mapping[str, Any]


def save(folder: Path, saved: Saved) -> None:
    """Replace the folder's checkpoint. A crash at any moment leaves the old one or the new one."""
    position = saved.position
    stem = f"training-{position.epoch}-{position.batch}"
    files = {"model": f"{stem}.model.safetensors", "optimizer": f"{stem}.optimizer.pt"}
    _replace(folder / files["model"], lambda path: save_file(_plain(saved.model), path))
    _replace(folder / files["optimizer"], lambda path: torch.save(dict(saved.optimizer), path))
    if saved.average is not None:
        average = _plain(saved.average)
        files["average"] = f"{stem}.average.safetensors"
        _replace(folder / files["average"], lambda path: save_file(average, path))
    # Only now does the folder's state become the new one.
    state = json.dumps({"version": 1, "position": asdict(position), "files": files})
    _replace(folder / STATE, lambda path: path.write_text(state))
    for old in folder.glob("training-*"):
        if old.name not in files.values():
            old.unlink(missing_ok=True)


def load(folder: Path, key: str) -> Saved | None:
    """The folder's checkpoint of the training ``key``; None where there is none of use."""
    if not (folder / STATE).exists():
        return None
    try:
        state = json.loads((folder / STATE).read_text())
        if state["version"] != 1 or state["position"]["key"] != key:
            _log.warning("%s is the checkpoint of another training; starting anew", folder)
            return None
        return _read(folder, state)
    except Exception as error:  # what a torn file makes its reader raise is anyone's guess
        _log.warning("the checkpoint in %s can't be read (%s); starting anew", folder, error)
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
    """Copies on the CPU, each of its own memory and contiguous, as safetensors wants them."""
    return {
        name: value.detach().to("cpu", copy=True).clone(memory_format=torch.contiguous_format)
        for name, value in state.items()
    }


def _replace(path: Path, write: Callable[[Path], Any]) -> None:
    partial = path.with_name(f"{path.name}.partial")
    write(partial)
    os.replace(partial, path)
