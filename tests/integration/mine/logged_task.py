"""Digits that log every training step, so that a test can count repeated work."""

from __future__ import annotations

import os
import time

from torch import Tensor

from nas.tasks.digits import Digits


class LoggedDigits(Digits):
    """Small digits; ``log`` is the file, ``step_s`` slows training down so that it can be interrupted."""

    def __init__(self, log: str, step_s: float = 0.0) -> None:
        super().__init__(image_size=8)
        self._log = log
        self._step_s = step_s

    def loss(self, outputs: Tensor, targets: Tensor, *, label_smoothing: float = 0.0) -> Tensor:
        with open(self._log, "a") as file:
            file.write(f"{os.getpid()}\n")
        time.sleep(self._step_s)
        return super().loss(outputs, targets, label_smoothing=label_smoothing)


class RaisingDigits(Digits):
    """Digits that raise an error when they are trained on."""

    def __init__(self) -> None:
        super().__init__(image_size=8)

    def loss(self, outputs: Tensor, targets: Tensor, *, label_smoothing: float = 0.0) -> Tensor:
        raise ValueError("this task can't be trained on")


class NotANumber(Digits):
    """Digits whose score is NaN."""

    def __init__(self) -> None:
        super().__init__(image_size=8)

    def score(self, outputs, targets):
        return {"accuracy": float("nan")}
