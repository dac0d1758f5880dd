"""External benchmark programs as a runtime; each burst calls the program once."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Optional

import numpy as np

from nas.errors import MeasureError
from nas.foreign import last_words
from nas.latency.runtimes import Burst, Runtime, Session, SessionOptions
from nas.latency.runtimes.fixed_batch import with_fixed_batch
from nas.latency.runtimes.program import Program, load_program
from nas.scratch import Scratch


class Command(Runtime):
    """An external benchmark program; each burst is one call of it.

    The program times the runs, and its times are trusted. The reference models are timed by the same program, so the
    cost of starting it cancels out. A call takes seconds, so the first calibration takes a minute or two. The program
    returns no outputs, so files are checked and scored in ONNX Runtime; it reports neither processor time nor memory. A
    JSON file describes how a program is called and how its times are read: see ``docs/how-to/runtime.md``.

    Args:
        program: ``benchmark_app`` (OpenVINO), ``trtexec`` (TensorRT), ``litert_adb`` (LiteRT's ``benchmark_model`` on a
            phone), or the path of a JSON file of your own.
    """

    paths = ("program:*.json",)
    formats = frozenset({"onnx"})
    answers = False
    scored_in = "onnxruntime"
    processor_time = False

    def __init__(self, program: str = "benchmark_app") -> None:
        self._program = load_program(program)
        self.formats = self._program.formats
        self.precisions = self._program.precisions
        _find(self._program, self._program.command[0])
        self._version: Optional[str] = None  # noqa: UP045 — for Python 3.9

    def open(self, path: Path, options: SessionOptions) -> Session:
        """Copy the file to where the program runs, and call the program once; see ``Runtime.open``."""
        if not path.is_file():
            raise MeasureError(f"there is no file {path}; export the model first")
        session = _CommandSession(self._program, path.resolve(), options)
        try:
            session.burst(1)
        except BaseException:
            session.close()
            raise
        return session

    def version(self) -> str:
        """The program's name and its version, which the description's version command prints."""
        if self._version is None:
            output = _call(self._program, _filled(self._program, self._program.version_command))
            found = re.search(self._program.version_pattern, output)
            if found is None:
                raise MeasureError(
                    f"program {self._program.name!r}: the output of {' '.join(self._program.version_command)} does not "
                    f"match {self._program.version_pattern!r}: {last_words(output)}"
                )
            self._version = f"{self._program.name} {found[1]}"
        return self._version


class _CommandSession(Session):
    def __init__(self, program: Program, path: Path, options: SessionOptions) -> None:
        self._program, self._path = program, path
        self._folder: Optional[Scratch] = Scratch("nas-command-")  # noqa: UP045
        folder = Path(self._folder.name)
        self._report = folder / "report"
        try:
            given = with_fixed_batch(path, options.batch, folder) if "onnx" in program.formats else path
        except MeasureError:
            self._folder.close()
            raise
        self._values = {
            "model": given,
            "name": f"measured-nas-{_hash(given)}{path.suffix}",
            "threads": options.threads,
            "batch": options.batch,
            "report": self._report,
        }
        self._pushed = False

    @property
    def input_shape(self) -> tuple[int, ...]:
        return ()

    def burst(self, runs: int) -> Burst:
        if self._folder is None:
            raise MeasureError("this session is closed; open the model again")
        if self._program.push and not self._pushed:
            self._run(self._program.push)
            self._pushed = True
        self._report.unlink(missing_ok=True)
        output = self._run(self._program.command, runs=runs)
        return Burst(self._program.reading.times_ns(output, self._report, runs))

    def run(self, inputs: np.ndarray) -> np.ndarray:
        raise MeasureError(f"program {self._program.name!r} times a model and does not return its outputs")

    def peak_memory_bytes(self) -> int | None:
        return None

    def close(self) -> None:
        folder, self._folder = self._folder, None
        if folder is None:
            return
        if self._pushed and self._program.remove:
            self._run(self._program.remove, folder.name)
        folder.close()

    def _run(self, arguments: Sequence[str], folder: Optional[str] = None, **values: object) -> str:  # noqa: UP045
        folder = folder or (self._folder.name if self._folder else None)
        try:
            return _call(self._program, _filled(self._program, arguments, **self._values, **values), folder)
        except MeasureError as error:
            raise MeasureError(f"{self._path}: {error}") from error


def _call(program: Program, arguments: Sequence[str], folder: Optional[str] = None) -> str:  # noqa: UP045
    """Run a program and return its output of both streams.

    Its working directory is ``folder``, so that files it leaves there are removed with the folder.
    """
    command = [_find(program, arguments[0]), *arguments[1:]]
    try:
        done = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            cwd=folder,
            env={**os.environ, **program.environment},
            timeout=program.timeout_s,
        )
    except subprocess.TimeoutExpired:
        raise MeasureError(f"{' '.join(arguments)} took longer than {program.timeout_s:g} s and was ended") from None
    except OSError as error:
        raise MeasureError(f"{command[0]} can't be started: {error.strerror}") from error
    output = done.stdout.decode(errors="replace")
    if done.returncode:
        raise MeasureError(
            f"{' '.join(arguments)} ended with code {done.returncode}: {last_words(output) or 'no output'}"
        )
    return output


def _filled(program: Program, arguments: Sequence[str], **values: object) -> list[str]:
    return program.fill(arguments, python=sys.executable, **{"name": "", **values})


def _find(program: Program, name: str) -> str:
    """The path of a program, which is searched beside the interpreter, where pip installs programs, and on PATH.

    Raises:
        MeasureError: the program is in neither place.
    """
    name = sys.executable if name == "{python}" else name
    beside = str(Path(sys.executable).parent)
    found = shutil.which(name, path=os.pathsep.join([beside, os.environ.get("PATH", os.defpath)]))
    if found is None:
        raise MeasureError(
            f"program {program.name!r}: {name} is neither beside {sys.executable} nor on the path; install it, or "
            "give its absolute path in the description"
        )
    return found


def _hash(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()[:16]
