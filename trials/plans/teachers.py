"""The network that a final training learns from, as plans and the command line write it."""

from __future__ import annotations

import re
from dataclasses import dataclass

_TRIAL = re.compile(r"trial:(\d{1,9})")
_TIMM = re.compile(r"timm:([\w.-]+),weights=(.+)")


@dataclass(frozen=True)
class TeacherSpec:
    """``dense``, ``trial:N``, or ``timm:MODEL,weights=FILE``."""

    #: Number of a trial of the same study.
    trial: int | None = None
    #: Name of a model of timm.
    model: str | None = None
    #: Path of the model's weights, a safetensors file.
    weights: str | None = None

    @classmethod
    def parse(cls, text: str) -> TeacherSpec:
        """Read a teacher; without any field, it is the dense twin.

        Raises:
            ValueError: the text has another form.
        """
        if text == "dense":
            return cls()
        if found := _TRIAL.fullmatch(text):
            return cls(trial=int(found[1]))
        if found := _TIMM.fullmatch(text):
            return cls(model=found[1], weights=found[2])
        raise ValueError("a teacher is dense, trial:N, or timm:MODEL,weights=FILE.safetensors")

    def __str__(self) -> str:
        if self.trial is not None:
            return f"trial:{self.trial}"
        return f"timm:{self.model},weights={self.weights}" if self.model else "dense"
