"""A file of ``torch.export``, which runs without the source of the network."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

import torch

from nas.errors import ExportError
from nas.export.formats import Format, Source
from nas.export.formats.openers.torch import load
from nas.export.formats.torch import Torch, written_source
from nas.scratch import Scratch


class TorchExport(Format):
    """``model.pt2``: the graph and the weights in the format of ``torch.export``, which needs torch only.

    It is made from the plain network of the format ``torch``, and can hold the same networks.
    """

    requires: ClassVar[dict[str, str]] = {"torch": "torch"}
    opener = "nas.export.formats.openers.torch_export"

    def check(self, source: Source) -> None:
        """See ``Format.check``.

        Raises:
            ExportError: the network has weights of 4 bits, or a part that can't be written in torch's own modules.
        """
        written_source(source, "torch-export")

    def runs_code(self, folder: Path) -> bool:
        """See ``Format.runs_code``; torch unpickles objects in such a file."""
        return True

    def write(self, source: Source, folder: Path) -> list[Path]:
        """See ``Format.write``."""
        with Scratch("nas-torch-") as place:
            Torch().write(source, Path(place))
            network = load(Path(place))
        path = folder / "model.pt2"
        batch, *item = source.artifact.input_shape
        is_dynamic = source.options.dynamic_batch
        shapes = {"x": {0: torch.export.Dim("batch")}} if is_dynamic else None
        # An example with one input would fix the batch to one.
        example = torch.zeros(max(batch, 2) if is_dynamic else batch, *item)
        try:
            torch.export.save(torch.export.export(network, (example,), dynamic_shapes=shapes), path)
        except Exception as error:  # torch.export has many error classes
            reason = str(error).strip().partition("\n")[0]
            raise ExportError(f"format 'torch-export': torch can't export this network: {reason}") from error
        return [path]
