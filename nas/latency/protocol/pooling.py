"""Combines measurements of one model on one target, made at different times, into one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from nas.errors import MeasureError
from nas.latency.protocol.samples import PROCESS, WALL, Samples, Visit


def pooled(parts: Sequence[tuple[Samples, float]]) -> tuple[Samples, float]:
    """All sessions as one measurement, oldest first, and the calibrated time of its reference, milliseconds.

    Measurements may have used different rungs. Reference times are scaled to the first measurement's rung, so that
    the latency that follows from each visit does not change.

    Args:
        parts: the samples of each measurement, with the calibrated time of their reference in milliseconds.

    Raises:
        MeasureError: there are no parts, or they use different clocks.
    """
    clocks = {samples.clock for samples, _ in parts}
    if len(clocks) != 1:
        raise MeasureError(
            f"measurements are pooled if they use one clock, but these use {', '.join(sorted(clocks)) or 'none'}; "
            "measure the file anew"
        )
    first, reference_ms = parts[0]
    sessions = [
        tuple(_scaled(visit, reference_ms / own_ms) for visit in session)
        for samples, own_ms in parts
        for session in samples.sessions
    ]
    return replace(first, sessions=tuple(sessions)), reference_ms


def _scaled(visit: Visit, factor: float) -> Visit:
    if factor == 1.0:
        return visit
    reference = visit.reference.copy()
    times = [WALL, PROCESS]
    reference[times] = np.maximum(1, np.round(reference[times] * factor)).astype(reference.dtype)
    return replace(visit, reference=reference)
