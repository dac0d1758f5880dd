"""Formats: files in which an exported network ships besides the file that was measured."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from importlib import import_module
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from nas.extras import require
from nas.registry import Registry

if TYPE_CHECKING:
    from torch import Tensor

    from nas.export import Artifact
    from nas.space import Network


@dataclass(frozen=True)
class FormatOptions:
    """Options of formats; a format ignores those that it does not have."""

    #: ONNX opset of the file; None keeps that of the measured file.
    opset: int | None = None
    #: Whether the file accepts any number of inputs at once.
    dynamic_batch: bool = False


@dataclass(frozen=True)
class Source:
    """The network that formats are written from."""

    network: Network
    #: The ONNX file that was measured.
    artifact: Artifact
    #: Inputs ``(M, C, H, W)`` on which the ranges of the measured file were found.
    calibration: Tensor
    #: Name of the runtime in which the file was measured.
    runtime: str = "onnxruntime"
    threads: int = 1
    options: FormatOptions = FormatOptions()
    #: The steps that turn an image into an input; see ``Task.preprocessing``.
    preprocessing: Mapping[str, Any] = field(default_factory=dict)

    @property
    def fewest_bits(self) -> int:
        """The smallest number of bits of a layer."""
        return min(self.network.bits.values(), default=32)


#: Function from float32 inputs ``(N, C, H, W)`` to outputs.
Run = Callable[[np.ndarray], np.ndarray]


class Format(ABC):
    """One kind of file that a network ships in.

    Its files lie in the exported folder beside those of other formats, or in a folder of the format in it, so their
    names differ from all others. The module ``opener`` opens and runs them. It imports only numpy and the packages of
    ``requires``, so that a copy of it runs without this project.
    """

    #: Import name of a package that opening the files needs → its name for pip.
    requires: ClassVar[dict[str, str]]
    #: Import names of packages that only writing the files needs.
    writes_with: ClassVar[tuple[str, ...]] = ()
    #: Name of the module whose ``open_network(folder)`` returns a ``Run`` and the number of inputs that it takes at
    #: once, or None for any number.
    opener: ClassVar[str]

    #: The Python of another environment, for formats that are written and run there.
    python: str | None = None

    def require(self, name: str) -> None:
        """Check that all packages are installed.

        Raises:
            MissingPackageError: a package is missing; the message says how to install it.
        """
        for package in (*self.requires, *self.writes_with):
            require(package, f"format {name!r}")

    @abstractmethod
    def check(self, source: Source) -> None:
        """Check that the format can hold everything that the network consists of, before anything is written.

        Raises:
            ExportError: it can't; the message names what it can't hold.
        """

    @abstractmethod
    def write(self, source: Source, folder: Path) -> list[Path]:
        """Write the files into ``folder`` and return their paths.

        Raises:
            ExportError: the network can't be written.
        """

    def open(self, folder: Path, batch: int | None = None) -> Run:
        """Open the written files; the function takes inputs ``(M, C, H, W)`` with any M.

        Args:
            folder: the folder that the files lie in.
            batch: number of inputs to run at once; by default that of the file, or all.
        """
        run, own = import_module(self.opener).open_network(folder)

        def outputs(inputs: np.ndarray) -> np.ndarray:
            size = own or batch or len(inputs)
            parts = []
            for start in range(0, len(inputs), size):
                part = inputs[start : start + size]
                filling = np.repeat(part[-1:], size - len(part), axis=0)
                parts.append(run(np.concatenate([part, filling]))[: len(part)])
            return np.concatenate(parts)

        return outputs

    def outputs(self, folder: Path, inputs: np.ndarray, batch: int | None = None) -> np.ndarray:
        """Run the written files on inputs; see ``open``."""
        return self.open(folder, batch)(inputs)

    def runs_code(self, folder: Path) -> bool:
        """Whether opening the files in ``folder`` may run code from them."""
        return False

    def script(self) -> str:
        """The text of the opener, which runs without this project."""
        spec = find_spec(self.opener)
        assert spec is not None
        assert spec.origin is not None
        return Path(spec.origin).read_text()

    def requirements(self) -> list[str]:
        """The packages that opening the files needs, in the installed versions, as lines of a ``requirements.txt``."""
        names = ("numpy", *self.requires.values())
        return [f"{name}=={version(name).partition('+')[0]}" for name in dict.fromkeys(names)]


FORMATS: Registry[type[Format]] = Registry(
    "formats",
    {
        "executorch": "nas.export.formats.executorch:ExecuTorch",
        "litert": "nas.export.formats.litert:LiteRt",
        "onnx": "nas.export.formats.onnx:Onnx",
        "onnxruntime-package": "nas.export.formats.onnxruntime_package:OnnxRuntimePackage",
        "openvino": "nas.export.formats.openvino:OpenVino",
        "timm": "nas.export.formats.timm:Timm",
        "torch": "nas.export.formats.torch:Torch",
        "torch-export": "nas.export.formats.torch_export:TorchExport",
    },
    subclasses_of=Format,
)


def make_formats(names: Sequence[str], pythons: Mapping[str, str] | None = None) -> dict[str, Format]:
    """Make formats by their names, and check that the packages that they need are installed.

    Args:
        names: names of formats.
        pythons: name of a format → the Python of the environment that writes and runs it.

    Raises:
        UnknownNameError: there is no such format.
        MissingPackageError: a package is not installed.
    """
    formats = {name: FORMATS.get(name)() for name in names}
    for name, item in formats.items():
        item.python = (pythons or {}).get(name)
        item.require(name)
    return formats
