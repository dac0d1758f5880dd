"""The scripts of an exported folder, which need no other file of this project."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

import nas.tasks.preparation
from nas.export.formats import Format

_FOLDER = Path(__file__).parent
#: Runtimes with a script ``network_<name>.py`` in this folder; all other runtimes use the script of ONNX Runtime.
SCRIPTS = sorted(path.stem.removeprefix("network_") for path in _FOLDER.glob("network_*.py"))
#: Module that a script imports → the name of its copy in an exported folder.
_COPIES = {
    r"trials\.export\.scripts\.network_onnxruntime": "network",
    r"nas\.tasks\.preparation": "prepare",
    r"trials\.export\.scripts\.": "",
}


def write_scripts(runtime: str, folder: Path, formats: Mapping[str, Format] | None = None) -> None:
    """Write ``run.py``, ``verify.py`` and what they import, for a runtime of ``SCRIPTS`` and further formats."""
    sources = {
        "run.py": _FOLDER / "run.py",
        "verify.py": _FOLDER / "verify.py",
        "network.py": _FOLDER / f"network_{runtime}.py",
        "prepare.py": Path(nas.tasks.preparation.__file__),
        **{f"verification/{path.name}": path for path in (_FOLDER / "verification").glob("*.py")},
    }
    for name, source in sources.items():
        path = folder / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(_alone(source.read_text(encoding="utf-8")), encoding="utf-8")
    for name, made in (formats or {}).items():
        path = folder / "verification" / "openers" / f"{name.replace('-', '_')}.py"
        path.parent.mkdir(exist_ok=True)
        path.write_text(made.script(), encoding="utf-8")


def _alone(text: str) -> str:
    for module, copy in _COPIES.items():
        text = re.sub(rf"(?m)^(\s*from ){module}", rf"\g<1>{copy}", text)
    return text
