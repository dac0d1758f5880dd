"""Formats whose libraries do not fit those of this project, and are used in a Python environment of their own."""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from typing import ClassVar

import numpy as np

from nas.errors import ExportError, MissingPackageError, PlanError
from nas.export.formats import Format, Run, Source
from nas.scratch import Scratch

_FOLDER = Path(__file__).parent
_RUN = (
    "import numpy, sys; from pathlib import Path; from opener import open_network; "
    "run, size = open_network(Path(sys.argv[1])); x = numpy.load('inputs.npy'); "
    "x = [numpy.concatenate([x, x[-1:].repeat(-len(x) % size, 0)])[i:i + size] for i in range(0, len(x), size)]; "
    "numpy.save('outputs.npy', numpy.concatenate([run(part) for part in x]))"
)
_VERSIONS = "import sys; from importlib.metadata import version; print(*(f'{n}=={version(n)}' for n in sys.argv[1:]))"


class EnvironmentFormat(Format):
    """A file that the ``python`` of another environment writes from the generated PyTorch source, and runs."""

    #: Name of the format, and of the files ``environments/<name>.txt`` and ``writers/write_<name>.py``.
    name: ClassVar[str]
    #: Name of the file.
    file: ClassVar[str]

    def require(self, name: str) -> None:
        """See ``Format.require``.

        Raises:
            PlanError: no environment is named.
        """
        wanted = shlex.quote(str(_FOLDER / "environments" / f"{self.name}.txt"))
        if self.python is None:
            raise PlanError(
                f"format {name!r} needs a Python environment of its own, because its libraries don't fit those of this "
                f"project: python -m venv {name} && {name}/bin/pip install -r {wanted}; then add --format-python "
                f"{name}={name}/bin/python"
            )
        done = self._run("-c", _VERSIONS, *self.requires.values())
        if done.returncode:
            raise MissingPackageError(
                f"format {name!r}: {self.python} lacks a package ({_last(done.stderr)}); {self.python} -m pip install "
                f"-r {wanted}"
            )

    def check(self, source: Source) -> None:
        """Write the file, to find out whether the format can hold the network; ``write`` places it.

        Raises:
            ExportError: a batch of any size is wanted, or the library can't convert the network.
        """
        if source.options.dynamic_batch:
            raise ExportError(f"format {self.name!r} holds one batch size; leave out --dynamic-batch")
        self._content = self._converted(source)

    def write(self, source: Source, folder: Path) -> list[Path]:
        """See ``Format.write``."""
        (folder / self.file).write_bytes(self._content)
        return [folder / self.file]

    def _converted(self, source: Source) -> bytes:
        from safetensors.torch import save_file

        from nas.export.formats.torch import WEIGHTS, written_source

        plain = written_source(source, self.name)
        with Scratch(f"nas-{self.name}-") as scratch:
            place = Path(scratch)
            save_file(dict(plain.tensors), place / WEIGHTS)
            (place / "model.py").write_text(plain.source)
            for script in ("integers.py", f"write_{self.name}.py"):
                shutil.copyfile(_FOLDER / "writers" / script, place / script)
            done = self._run(f"write_{self.name}.py", *map(str, source.artifact.input_shape), folder=place)
            if done.returncode or not (place / self.file).exists():
                raise ExportError(
                    f"format {self.name!r}: its library can't convert this network: {_last(done.stderr)}; leave this "
                    "format out"
                )
            return (place / self.file).read_bytes()

    def open(self, folder: Path, batch: int | None = None) -> Run:
        """See ``Format.open``; the function starts a process of the environment for each call."""

        def outputs(inputs: np.ndarray) -> np.ndarray:
            with Scratch(f"nas-{self.name}-") as scratch:
                place = Path(scratch)
                (place / "opener.py").write_text(self.script())
                np.save(place / "inputs.npy", inputs)
                done = self._run("-c", _RUN, str(folder.resolve()), folder=place)
                if done.returncode:
                    raise ExportError(f"format {self.name!r}: the file can't be run: {_last(done.stderr)}")
                found: np.ndarray = np.load(place / "outputs.npy", allow_pickle=False)
                return found[: len(inputs)]

        return outputs

    def requirements(self) -> list[str]:
        """See ``Format.requirements``; the versions are those of the environment."""
        text = self._run("-c", _VERSIONS, "numpy", *self.requires.values()).stdout
        return [item.partition("+")[0] for item in text.split()]

    def _run(self, *arguments: str, folder: Path | None = None) -> subprocess.CompletedProcess[str]:
        python = sys.executable if self.python is None else str(Path(self.python).absolute())
        try:
            return subprocess.run([python, *arguments], cwd=folder, capture_output=True, text=True)
        except OSError as error:
            raise PlanError(f"format {self.name!r}: {python} can't be run: {error.strerror}; give a Python") from None


def _last(text: str) -> str:
    """The last error of a process: the line that begins with its class, and the line after it."""
    lines = [line for line in text.splitlines() if line.strip()] or ["no message"]
    named = [index for index, line in enumerate(lines) if re.match(r"[\w.]+(Error|Exception|Unsupported)\b.*:", line)]
    start = named[-1] if named else len(lines) - 1
    return " ".join(" ".join(lines[start : start + 2]).split())[:300]
