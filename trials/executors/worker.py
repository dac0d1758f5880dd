"""Run one job in a worker, the same way in every executor."""

from __future__ import annotations

import json
import os
import traceback
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from typing import Any

from nas.errors import PlaceError
from nas.import_path import append_folders
from nas.latency.machine.affinity import pin
from nas.place import bad_folder, is_of_place
from nas.registry import load


def run(
    function: str,
    payload: Mapping[str, Any],
    *,
    code: Sequence[str] = (),
    cores: Sequence[int] = (),
    folder: str | None = None,
    folders: Sequence[str] = (),
) -> Iterator[str]:
    """Run a job, and yield its messages.

    Each yielded value is passed on at once, because it may be the last sign of life for a long time. Any problem of a
    job (in its code, its cores, or a value that is not JSON) ends the job, but not the worker.

    Args:
        function: see ``Job``.
        payload: argument of the function.
        code: folders of the user's code.
        cores: cores to bind this process to.
        folder: the working folder; by default the present one of this process.
        folders: see ``Job``.

    Yields:
        JSON texts of ``{"kind": "progress" | "done" | "error" | "place", …}``; every kind but ``progress`` is the last.
    """
    written = [item for item in folders if _is_made(item)]
    try:
        _prepare(code, cores, folder)
        result = "{}"
        for value in load(function, "job")(payload):
            if not isinstance(value, Mapping):
                raise TypeError(f"{function} yields {type(value).__name__}; a job must yield dicts of JSON values")
            result = json.dumps(value)
            yield f'{{"kind": "progress", "value": {result}}}'
        yield f'{{"kind": "done", "value": {result}}}'
    except (Exception, SystemExit) as error:
        yield json.dumps({**_blamed(error, written), "traceback": traceback.format_exc()})


def _blamed(error: BaseException, written: Sequence[str]) -> dict[str, str]:
    """Return kind and text of the event for an error: of kind ``place`` if the place caused it."""
    text = str(error) if isinstance(error, PlaceError) else f"{type(error).__name__}: {error}"
    if is_of_place(error):
        return {"kind": "place", "error": text}
    if problem := bad_folder(written):
        return {"kind": "place", "error": f"{problem}; {text}"}
    return {"kind": "error", "error": text}


def _is_made(folder: str) -> bool:
    """Create a folder that a job writes to; return whether it exists. The job itself reports a missing folder."""
    with suppress(OSError):
        os.makedirs(folder, exist_ok=True)
    return os.path.isdir(folder)


def _prepare(code: Sequence[str], cores: Sequence[int], folder: str | None) -> None:
    """Enter the working folder, make the user's code importable, and bind this process to its cores."""
    if folder is not None:
        try:
            os.chdir(folder)
        except OSError as error:
            raise PlaceError(f"the working folder {folder} can't be entered: {error.strerror}") from error
    append_folders(code)
    if cores:
        pin(cores)
