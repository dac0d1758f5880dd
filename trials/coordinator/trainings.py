"""The progress of running trainings, in words."""

from __future__ import annotations

from collections.abc import Iterable

from trials.coordinator.dispatch import Running


def trainings(running: Iterable[Running], num_epochs: int) -> str:
    """Return text such as ``trial 3: epoch 4 of 30, 12 min left; …``; empty before any epoch has ended."""
    return "; ".join(
        f"trial {job.trial.number}: epoch {job.epoch} of {num_epochs}, "
        f"{duration((num_epochs - job.epoch) * job.epoch_s)} left"
        for job in running
        if job.epoch
    )


def duration(seconds: float) -> str:
    """Return a duration as text: ``40 s``, ``12 min`` or ``3.5 h``."""
    if seconds < 60:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
