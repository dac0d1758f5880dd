"""A network as readable PyTorch source with its weights."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

from safetensors.torch import save_file

from nas.errors import ExportError
from nas.export.formats import Format, Source
from nas.export.plain.network import PlainNetwork, plain_network

#: File with the weights that ``model.py`` loads.
WEIGHTS = "model.torch.safetensors"


class Torch(Format):
    """``model.py`` and ``model.torch.safetensors``: the network in plain PyTorch, which needs no other code.

    The source has the modules of the network: one class for all blocks of equal structure, batch norms folded, large
    kernels merged. Zeros are zeros of the weights. 8-bit layers contain integers and scales, and values are rounded as
    in the measured file; weights of 16 bits stay in 16 bits. It does not hold weights of 4 bits, and modules whose
    ``forward`` can't be traced.
    """

    requires: ClassVar[dict[str, str]] = {"torch": "torch", "safetensors": "safetensors"}
    opener = "nas.export.formats.openers.torch"

    def check(self, source: Source) -> None:
        """See ``Format.check``.

        Raises:
            ExportError: the network has weights of 4 bits, or a part that can't be written in torch's own modules.
        """
        written_source(source, "torch")

    def runs_code(self, folder: Path) -> bool:
        """See ``Format.runs_code``."""
        return True

    def write(self, source: Source, folder: Path) -> list[Path]:
        """See ``Format.write``."""
        plain = written_source(source, "torch")
        save_file(dict(plain.tensors), folder / WEIGHTS)
        (folder / "model.py").write_text(plain.source)
        return [folder / "model.py", folder / WEIGHTS]


def written_source(source: Source, name: str) -> PlainNetwork:
    """The plain source of a network, for the format ``name``.

    Raises:
        ExportError: the network can't be written in plain PyTorch.
    """
    try:
        return plain_network(source.network, source.artifact.input_shape, source.calibration, WEIGHTS)
    except ExportError as error:
        raise ExportError(f"format {name!r}: {error}; leave this format out") from error
