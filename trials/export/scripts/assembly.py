"""``run.py`` of an exported network, put together: it needs no other file of this project."""

from __future__ import annotations

from pathlib import Path

_FOLDER = Path(__file__).parent
#: Runtimes that have a script; ONNX Runtime's stands in for others.
SCRIPTS = ("onnxruntime", "openvino", "openvino_kernels")
_IMPORT = "from trials.export.scripts.run_answers import answer\n"


def run_script(runtime: str) -> str:
    """The text of ``run.py`` for a runtime of ``SCRIPTS``."""
    body = (_FOLDER / "run_answers.py").read_text().partition('"""\n\n')[2]
    return (_FOLDER / f"run_{runtime}.py").read_text().replace(_IMPORT, body + "\n")
