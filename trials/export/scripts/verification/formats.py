"""Compares the outputs of an exported network's further formats with the golden outputs."""

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from trials.export.scripts.run import outputs_of
from trials.export.scripts.verification.golden import output_line
from trials.export.scripts.verification.lines import Line, line

#: Function from a folder to the network's function, and the number of inputs that it takes at once (None: any).
Open = Callable[[Path], tuple[Callable[[np.ndarray], np.ndarray], int | None]]


class NotOpened(Exception):
    """A format is not opened; the arguments are what is missing, and what to do."""


def format_lines(
    folder: Path, report: dict[str, Any], arrays: dict[str, np.ndarray], find: Callable[[Mapping[str, Any]], Open]
) -> Iterator[Line]:
    """One line for each further format; ``find`` returns the function that opens it, or raises ``NotOpened``."""
    for item in report.get("formats", []):
        check, inputs = f"format {item['format']}", arrays["inputs"]
        # The measured file and this one may each be this far from the network.
        allowed = max(report["golden"]["tolerance"], 2 * item["relative_error"])
        try:
            run, size = find(item)(folder)
            outputs = outputs_of(run, inputs, size or len(inputs))
        except NotOpened as reason:
            yield line(check, "not judged", *reason.args)
        except Exception as error:  # runtimes raise errors of every kind
            yield line(check, "fail", "it can't be run", " ".join(str(error).split())[:300])
        else:
            yield output_line(arrays, outputs, allowed, check)


def beside(written: Mapping[str, Any]) -> Open:
    """Return the opener of a format of the report, which lies in this folder of scripts.

    Raises:
        NotOpened: a package that it needs is not installed.
    """
    from importlib import import_module

    try:
        name = written["format"].replace("-", "_")
        opener: Open = import_module(f"verification.openers.{name}").open_network
    except ImportError as error:
        package = (error.name or "a package").partition(".")[0]
        raise NotOpened(f"{package} is not installed", f"pip install {' '.join(written['requirements'])}") from None
    return opener
