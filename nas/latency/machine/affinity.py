"""Chooses the cores for measuring and for training, and binds processes to them."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable, Sequence

from nas.errors import MeasureError


def measuring_core() -> int:
    """The last core this process may use."""
    return available_cores()[-1]


def training_cores(measuring: Collection[int]) -> list[int]:
    """The cores of this process that are not in ``measuring``; all of its cores if none would remain."""
    cores = available_cores()
    return [core for core in cores if core not in measuring] or cores


def measuring_cores(core: int | None, threads: int, cores: Sequence[int] = ()) -> tuple[int, ...]:
    """The cores of a session with ``threads`` threads: ``core`` and its neighbours, lower ones first.

    Args:
        core: the first core; None for the last of ``cores``.
        threads: number of cores wanted.
        cores: cores to choose from, ascending; by default the cores this process may use.

    Raises:
        MeasureError: ``core`` is not among the cores, or there are fewer cores than threads.
    """
    cores = cores or available_cores()
    listed = ", ".join(map(str, cores))
    first = cores[-1] if core is None else core
    if first not in cores:
        raise MeasureError(
            f"core {first} is not available: this process may use {listed}; set the target's core to one of these"
        )
    if threads > len(cores):
        raise MeasureError(
            f"{threads} threads on {len(cores)} core(s) ({listed}) would wait for each other; "
            f"set the target's threads to at most {len(cores)}"
        )
    others = sorted((item for item in cores if item != first), key=lambda item: (item > first, -item))
    return tuple(sorted([first, *others[: threads - 1]]))


def pin(cores: Iterable[int]) -> None:
    """Bind this process to cores; does nothing on systems without processor affinity.

    Raises:
        MeasureError: this process may use none of the cores.
    """
    wanted = set(cores)
    if not hasattr(os, "sched_setaffinity"):
        return
    try:
        os.sched_setaffinity(0, wanted)
    except OSError as error:
        raise MeasureError(
            f"can't bind to core {', '.join(map(str, sorted(wanted)))}: this process may use "
            f"{', '.join(map(str, available_cores()))}; choose among these"
        ) from error


def available_cores() -> list[int]:
    """The cores this process may use, ascending."""
    if hasattr(os, "sched_getaffinity"):
        return sorted(os.sched_getaffinity(0))
    return list(range(os.cpu_count() or 1))
