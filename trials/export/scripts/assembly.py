"""Assemble ``run.py`` of an exported network, so that it needs no other file of this project."""

from __future__ import annotations

from pathlib import Path

_FOLDER = Path(__file__).parent
#: Runtimes with a script ``run_<name>.py`` in this folder; all other runtimes use the script of ONNX Runtime.
SCRIPTS = sorted(path.stem.removeprefix("run_") for path in _FOLDER.glob("run_*.py"))
_IMPORT = "from trials.export.scripts.answers import answer\n"


def run_script(runtime: str) -> str:
    """Return the text of ``run.py`` for a runtime of ``SCRIPTS``."""
    body = (_FOLDER / "answers.py").read_text().partition('"""\n\n')[2]
    return (_FOLDER / f"run_{runtime}.py").read_text().replace(_IMPORT, body + "\n")
