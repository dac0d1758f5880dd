"""Which core measures, which cores train."""

from __future__ import annotations

import os
from collections.abc import Iterable

from nas.errors import MeasureError


def measuring_core() -> int:
    """The last core this process may use."""
    return max(_all_cores())


def training_cores() -> list[int]:
    """The other cores; the same one where there is only one."""
    cores = sorted(_all_cores())
    return cores[:-1] or cores


def pin(cores: Iterable[int]) -> None:
    """Bind this process to cores.

    Raises:
        MeasureError: the machine has none of them.
    """
    wanted = set(cores)
    try:
        os.sched_setaffinity(0, wanted)
    except OSError as error:
        raise MeasureError(
            f"can't bind to core {', '.join(map(str, sorted(wanted)))}: this machine offers "
            f"{', '.join(map(str, sorted(_all_cores())))}"
        ) from error


def _all_cores() -> set[int]:
    return os.sched_getaffinity(0)
