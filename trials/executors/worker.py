"""What every executor's worker does with a job."""

from __future__ import annotations

import os
import sys
import traceback
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from nas.registry import load


def prepare(code: Sequence[str], cores: Sequence[int]) -> None:
    """Put the user's folders on the path and bind this process to its cores."""
    for folder in map(os.path.abspath, reversed(code)):
        if folder not in sys.path:
            sys.path.insert(0, folder)
    if cores:
        os.sched_setaffinity(0, cores)


def run(function: str, payload: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """``{"kind": "progress" | "done" | "error", …}`` of one job, the last one final.

    The last value a job yields is its result, so every value is held back until the next one shows that it was
    not the last.
    """
    try:
        held: Mapping[str, Any] | None = None
        for value in load(function, "job")(payload):
            if held is not None:
                yield {"kind": "progress", "value": held}
            held = value
        yield {"kind": "done", "value": held or {}}
    except Exception as error:
        yield {
            "kind": "error",
            "error": f"{type(error).__name__}: {error}",
            "traceback": traceback.format_exc(),
        }
