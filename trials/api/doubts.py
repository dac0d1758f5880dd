"""Warnings about results of a study that should not be trusted yet."""

from __future__ import annotations

import warnings

from trials.store.read.doubts import study_doubts
from trials.store.store import Store


class StudyWarning(UserWarning):
    """Results of a study that should not be trusted yet, for example because trainings were too short."""


def warn_of_doubts(storage: str, name: str) -> None:
    """Warn the caller of the calling function of every doubt about a study."""
    for doubt in study_doubts(Store(storage), name):
        warnings.warn(f"study {name}: {doubt}", StudyWarning, stacklevel=3)
