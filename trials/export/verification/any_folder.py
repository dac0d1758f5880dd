"""Verify an exported folder of any origin with this project's own scripts and the installed runtimes."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any

from nas.errors import ExportError, PlanError
from nas.export.formats import FORMATS, Format
from nas.export.formats.environment import EnvironmentFormat
from nas.extras import pip_install, require
from trials.export.scripts.verification.accuracy import NoImagesError, check_data
from trials.export.scripts.verification.formats import NotOpened, Open
from trials.export.scripts.verification.lines import Line
from trials.export.scripts.verify import verify


def verify_folder(
    folder: Path, *, data: Path | None = None, threads: int | None = None, trust_code: bool = False
) -> list[Line]:
    """Return the lines of ``verify.py`` for a folder, without running anything from it.

    Args:
        folder: a folder that an export wrote.
        data: a folder of images, with one folder for each class.
        threads: number of threads; by default as in the export.
        trust_code: load the library of kernels in the folder, and formats that contain code.

    Raises:
        PlanError: there is no such folder, it has another layout, or ``data`` has no images of its classes.
        ExportError: the folder needs its library of kernels and ``trust_code`` is false.
        MissingPackageError: the runtime of the folder is not installed.
    """
    folder = folder.expanduser()
    if not folder.is_dir():
        raise PlanError(f"the folder {folder} does not exist; give a folder")
    _refuse_layouts(folder)
    try:
        check_data(folder, data)
    except NoImagesError as error:
        raise PlanError(str(error)) from None
    if not (folder / "SHA256SUMS").is_file():
        raise PlanError(f"{folder} has no SHA256SUMS, so no export wrote it; give a folder that nas export wrote")
    if (folder / "kernels.xml").exists() and not trust_code:
        raise ExportError(
            f"{folder} contains kernels.so, a library whose code runs when it is loaded; if you trust where the folder "
            "comes from, pass --trust-code"
        )
    script = "openvino_kernels" if (folder / "kernels.xml").exists() else _runtime(folder)
    require(script.partition("_")[0], f"nas verify {folder}")
    network = import_module(f"trials.export.scripts.network_{script}")
    find = partial(_find_format, folder, trust_code)
    return verify(folder, network.open_network, network.RUNTIME, find_format=find, data=data, threads=threads)


def _refuse_layouts(folder: Path) -> None:
    """Raise PlanError for a folder that ``nas push`` wrote in another layout, and say what to verify."""
    if (folder / "config.json").is_file() and (folder / "onnx" / "run.py").is_file():
        raise PlanError(
            f"{folder} has the layout huggingface, which leaves out what a verification needs; verify the export that "
            f"was pushed, and compare this copy with its hashes: cd {folder} && sha256sum -c SHA256SUMS"
        )
    if (folder / "MLmodel").is_file():
        raise PlanError(f"{folder} has the layout mlflow; verify the export in it: nas verify {folder / 'export'}")


def _find_format(folder: Path, trust_code: bool, written: Mapping[str, Any]) -> Open:
    """Return the opener of a format of this project; a name in a report must not import anything else."""
    name = written["format"]
    if name not in FORMATS.names():
        raise NotOpened("this version of measured-nas has no such format", "use the version that exported the folder")
    made = FORMATS.get(name)()
    if made.runs_code(folder) and not trust_code:
        raise NotOpened("opening it runs code from the folder", "if you trust its origin, pass --trust-code")
    try:
        opener: Open = import_module(made.opener).open_network
    except ImportError as error:
        package = (error.name or "").partition(".")[0]
        raise NotOpened(f"{package or error} is not installed", _advice(made, package)) from None
    return opener


def _advice(made: Format, package: str) -> str:
    if isinstance(made, EnvironmentFormat):
        return "its packages don't fit those of this project: run verify.py in an environment of its own"
    return pip_install(package)


def _runtime(folder: Path) -> str:
    """Return the runtime of a folder; ONNX Runtime if the folder does not say, which the verification reports."""
    try:
        name = json.loads((folder / "report.json").read_text(encoding="utf-8"))["alone"]["runtime"][0]
    except (OSError, ValueError, KeyError, TypeError, IndexError):
        return "onnxruntime"
    return "openvino" if name == "openvino" else "onnxruntime"
