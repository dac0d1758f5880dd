"""LiteRT's file."""

from __future__ import annotations

from typing import ClassVar

from nas.errors import ExportError
from nas.export.formats import Source
from nas.export.formats.environment import EnvironmentFormat


class LiteRt(EnvironmentFormat):
    """``model.tflite``: the file of LiteRT, formerly TensorFlow Lite, written by litert-torch.

    It holds 32 bits, and zeros, of networks whose operators litert-torch can convert. It does not hold fewer bits,
    because litert-torch writes the weights of such layers in 32 bits. ``--format-python litert=PATH`` names the Python
    of an environment with litert-torch.
    """

    requires: ClassVar[dict[str, str]] = {"ai_edge_litert": "ai-edge-litert"}
    opener = "nas.export.formats.openers.litert"
    name = "litert"
    file = "model.tflite"

    def check(self, source: Source) -> None:
        """See ``Format.check``.

        Raises:
            ExportError: layers have fewer bits, or ``EnvironmentFormat.check`` refuses the network.
        """
        if source.fewest_bits < 32:
            raise ExportError(
                f"format 'litert': layers of this network have {source.fewest_bits} bits, and litert-torch would write "
                "their weights in 32 bits; leave this format out, or choose executorch"
            )
        super().check(source)
