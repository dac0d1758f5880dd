"""What every executor's worker does with a job."""

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
    """JSON texts of ``{"kind": "progress" | "done" | "error" | "place", …}``, the last one final.

    A value is passed on the moment it is yielded: it may be the last sign of life for an hour, or for ever. Whatever
    is wrong with a job (its code, its cores, a value that is no JSON) ends the job, not the worker.

    Args:
        function: see ``Job``.
        payload: what the function gets.
        code: folders of the user's code.
        cores: what this process is bound to.
        folder: the working folder; by default the one this process is in.
        folders: see ``Job``.
    """
    written = [item for item in folders if _is_made(item)]
    try:
        _prepare(code, cores, folder)
        result = "{}"
        for value in load(function, "job")(payload):
            if not isinstance(value, Mapping):
                raise TypeError(f"{function} yields {type(value).__name__}; a job yields dicts of JSON values")
            result = json.dumps(value)
            yield f'{{"kind": "progress", "value": {result}}}'
        yield f'{{"kind": "done", "value": {result}}}'
    except (Exception, SystemExit) as error:
        yield json.dumps({**_blamed(error, written), "traceback": traceback.format_exc()})


def _blamed(error: BaseException, written: Sequence[str]) -> dict[str, str]:
    """Kind and text of the event of an error."""
    text = str(error) if isinstance(error, PlaceError) else f"{type(error).__name__}: {error}"
    if is_of_place(error):
        return {"kind": "place", "error": text}
    if problem := bad_folder(written):
        return {"kind": "place", "error": f"{problem}; {text}"}
    return {"kind": "error", "error": text}


def _is_made(folder: str) -> bool:
    """Make a folder that a job writes to; whether it is there now. One that can't be made is the job's to report."""
    with suppress(OSError):
        os.makedirs(folder, exist_ok=True)
    return os.path.isdir(folder)


def _prepare(code: Sequence[str], cores: Sequence[int], folder: str | None) -> None:
    """Go to the working folder, make the user's code importable, and bind this process to its cores."""
    if folder is not None:
        try:
            os.chdir(folder)
        except OSError as error:
            raise PlaceError(f"the working folder {folder} can't be entered: {error.strerror}") from error
    append_folders(code)
    if cores:
        pin(cores)
