"""Candidates that misbehave in their first training step, in a way that one choice determines."""

from __future__ import annotations

import ctypes
import os
import subprocess
import time

from torch import Tensor, nn

from nas.space import Chooser, SearchSpace
from nas.tasks import Task
from nas.tasks.digits import Digits

WAYS = ("fine", "raises", "nan", "eats", "hangs", "exits", "segfaults", "leaves")
#: How the network that this process built last misbehaves; in a worker, that is the network it trains.
built = "fine"


class Misbehaving(SearchSpace):
    """A layer and a head. Its only choice is how it misbehaves."""

    def build(self, chooser: Chooser, task: Task) -> nn.Module:
        global built
        built = str(chooser.choose("way", WAYS))
        width = 4 + WAYS.index(built)
        return nn.Sequential(nn.Conv2d(task.input_shape[0], width, 3), nn.ReLU(), task.head(width, 1))


class Misled(Digits):
    """Small digits whose training step misbehaves as the network says."""

    def __init__(self) -> None:
        super().__init__(image_size=8)

    def loss(self, outputs: Tensor, targets: Tensor, *, label_smoothing: float = 0.0) -> Tensor:
        loss = super().loss(outputs, targets, label_smoothing=label_smoothing)
        return loss * misbehave(built)


def misbehave(way: str) -> float:
    held = []
    if way == "raises":
        raise ValueError("it raises on purpose")
    if way == "nan":
        return float("nan")
    while way == "eats":
        held.append(bytearray(os.urandom(1 << 20)) * 20)
        time.sleep(0.01)
    if way == "hangs":
        subprocess.Popen(["sleep", "86398"], start_new_session=True)
        time.sleep(600)
    if way == "exits":
        os._exit(7)
    if way == "segfaults":
        ctypes.string_at(0)
    if way == "leaves":
        subprocess.Popen(["sleep", "86399"], start_new_session=True)
    return 1.0
