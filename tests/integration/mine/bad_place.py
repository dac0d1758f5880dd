"""A task whose first trainings suffer faults of the place."""

from __future__ import annotations

import os
import signal
from pathlib import Path

from torch import Tensor

from nas.tasks.digits import Digits


class Killed(Digits):
    """The training process is killed once for each line that ``marks`` does not have yet, up to ``times``."""

    def __init__(self, marks: str, times: int) -> None:
        super().__init__(image_size=8)
        self._marks = Path(marks)
        self._times = times

    def loss(self, outputs: Tensor, targets: Tensor, *, label_smoothing: float = 0.0) -> Tensor:
        before = self._marks.read_text() if self._marks.exists() else ""
        if len(before) < self._times:
            self._marks.write_text(before + "x")
            os.kill(os.getpid(), signal.SIGKILL)
        return super().loss(outputs, targets, label_smoothing=label_smoothing)
