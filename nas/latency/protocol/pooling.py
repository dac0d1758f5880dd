"""Measurements of one model on one target, made at different times, as one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from nas.errors import MeasureError
from nas.latency.protocol.samples import PROCESS, WALL, Samples, Visit


def pooled(parts: Sequence[tuple[Samples, float]]) -> tuple[Samples, float]:
    """All sessions as one measurement, oldest first, and the calibrated time of its reference.

    Measurements may have used different rungs of the ladder: the times of a reference are scaled to what the first
    one's would have been, so that each visit speaks of the same latency as before.

    Args:
        parts: samples and the calibrated milliseconds of their reference.

    Raises:
        MeasureError: none, or of different clocks.
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
