"""Builds the library of native kernels on this machine, once per source, processor, compiler and OpenVINO version."""

from __future__ import annotations

import fcntl
import hashlib
import importlib.resources
import importlib.util
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from nas.errors import MeasureError
from nas.extras import pip_install
from nas.processor import describe_processor
from nas.scratch import Scratch

_LIBRARY = "measured_nas_kernels.so"
_COMPILERS = ("c++", "g++", "clang++")
_HELP = f"apt-get install g++ make, and {pip_install('cmake')}"
#: The one of OpenVINO's CMake files that contains its version.
_VERSION_FILE = "OpenVINOConfig-version.cmake"
#: Number of lines of a failed build's log that the error message shows.
_LOG_LINES = 20


@dataclass(frozen=True)
class _Tools:
    cmake: str
    make: str
    compiler: str
    #: Folder of OpenVINO's CMake files.
    openvino: Path


def library() -> Path:
    """The library's file, which is built if this machine has no library of this source, compiler and OpenVINO yet.

    Raises:
        MeasureError: a tool is missing, the build failed, or the cache can't be written.
    """
    tools = _tools()
    path = kernels_folder() / _hash(tools) / _LIBRARY
    try:
        if not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            with _alone(path.parent / "lock"):
                if not path.exists():
                    _build(tools, path)
    except OSError as error:
        raise MeasureError(f"the native kernels can't be stored in {path.parent}: {error.strerror}") from error
    return path


def library_hash() -> str:
    """Hash of everything that the library depends on; nothing is built.

    Raises:
        MeasureError: a tool is missing.
    """
    return _hash(_tools())


def kernels_folder() -> Path:
    """Folder of the built libraries and of the caches of their timings."""
    return Path.home() / ".cache" / "measured-nas" / "kernels"


def source_files() -> dict[str, bytes]:
    """The library's source: name → content."""
    folder = importlib.resources.files("nas.kernels") / "source"
    return {file.name: file.read_bytes() for file in sorted(folder.iterdir(), key=lambda file: file.name)}


def _tools() -> _Tools:
    """Find the build tools and OpenVINO.

    Raises:
        MeasureError: one of them is missing.
    """
    folders = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath)])
    found = {name: shutil.which(name, path=folders) for name in ("cmake", "make", *_COMPILERS)}
    compiler = next((path for name in _COMPILERS if (path := found[name])), None)
    package = importlib.util.find_spec("openvino")
    cmake, make = found["cmake"], found["make"]
    if cmake and make and compiler and package and package.origin:
        return _Tools(cmake, make, compiler, Path(package.origin).parent / "cmake")
    needed = {"cmake": cmake, "make": make, "a C++ compiler": compiler, "openvino": package}
    missing = ", ".join(name for name, value in needed.items() if not value)
    raise MeasureError(f"the native kernels are built on this machine, which lacks {missing}: {_HELP}")


@cache
def _hash(tools: _Tools) -> str:
    digest = hashlib.sha256()
    for name, content in source_files().items():
        digest.update(f"{name} {len(content)}\n".encode() + content)
    digest.update(subprocess.run([tools.compiler, "--version"], capture_output=True).stdout)
    digest.update((tools.openvino / _VERSION_FILE).read_bytes())
    processor = describe_processor()
    digest.update(f"{tools.openvino} {processor['processor']} {processor['flags']}".encode())
    return digest.hexdigest()[:16]


@contextmanager
def _alone(path: Path) -> Iterator[None]:
    """Hold the lock, which is freed when the process ends in any way."""
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _build(tools: _Tools, path: Path) -> None:
    """Build in a temporary folder beside ``path``, and then move the finished file there."""
    with Scratch("nas-build-", path.parent) as folder:
        source, build = Path(folder) / "source", Path(folder) / "build"
        source.mkdir()
        for name, content in source_files().items():
            (source / name).write_bytes(content)
        settings = {
            "CMAKE_CXX_COMPILER": tools.compiler,
            "CMAKE_MAKE_PROGRAM": tools.make,
            "OpenVINO_DIR": str(tools.openvino),
        }
        options = [f"-D{name}={value}" for name, value in settings.items()]
        _run([tools.cmake, "-G", "Unix Makefiles", "-S", str(source), "-B", str(build), *options])
        _run([tools.cmake, "--build", str(build), "--parallel", str(os.cpu_count() or 1)])
        os.replace(build / _LIBRARY, path)


def _run(command: list[str]) -> None:
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace")
    if done.returncode:
        log = "\n".join(done.stdout.splitlines()[-_LOG_LINES:])
        raise MeasureError(f"the native kernels can't be built: {command[0]} failed:\n{log}")
