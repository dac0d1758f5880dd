"""What every executor's worker does with a job."""

from __future__ import annotations

import json
import os
import sys
import traceback
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from nas.errors import UnreachableError
from nas.latency.affinity import pin
from nas.registry import load


def run(
    function: str, payload: Mapping[str, Any], *, code: Sequence[str] = (), cores: Sequence[int] = ()
) -> Iterator[str]:
    """JSON texts of ``{"kind": "progress" | "done" | "error" | "unreachable", …}``, the last one final.

    A value is passed on the moment it is yielded: it may be the last sign of life for an hour, or for ever. Whatever
    is wrong with a job (its code, its cores, a value that is no JSON) ends the job, not the worker.
    """
    try:
        _prepare(code, cores)
        result = "{}"
        for value in load(function, "job")(payload):
            if not isinstance(value, Mapping):
                raise TypeError(f"{function} yields {type(value).__name__}; a job yields dicts of JSON values")
            result = json.dumps(value)
            yield f'{{"kind": "progress", "value": {result}}}'
        yield f'{{"kind": "done", "value": {result}}}'
    except (Exception, SystemExit) as error:
        kind, text = "error", f"{type(error).__name__}: {error}"
        if isinstance(error, UnreachableError):
            kind, text = "unreachable", str(error)
        yield json.dumps({"kind": kind, "error": text, "traceback": traceback.format_exc()})


def _prepare(code: Sequence[str], cores: Sequence[int]) -> None:
    """Put the user's folders on the path, the first one first, and bind this process to its cores."""
    for folder in map(os.path.abspath, reversed(code)):
        if folder not in sys.path:
            sys.path.insert(0, folder)
    if cores:
        pin(cores)
