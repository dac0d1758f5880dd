"""Exporters, which write the file that ships, and the artifact that describes this file."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nas.registry import Registry

if TYPE_CHECKING:
    from torch import Tensor

    from nas.space import Network


@dataclass(frozen=True)
class Artifact:
    """A file that a runtime can open."""

    path: Path
    format: str
    #: ``"fx"`` (our own emitter) or ``"torch"`` (torch's exporter, because of an uncovered node).
    route: str
    sha256: str
    size_bytes: int
    #: Hash of graph, shapes, dtypes and non-zeros per block of rows. Files with equal hashes have the same latency.
    structure_hash: str
    #: Shape of the one input with the batch. Its dtype is float32, whatever the precision of the layers.
    input_shape: tuple[int, ...]
    #: Largest absolute difference from torch's output, in standard deviations of that output.
    relative_error: float
    #: Further facts: nodes without an op, seconds, opset.
    record: Mapping[str, Any]


class Exporter(ABC):
    """Turns a network into a file.

    The file has the bits of the network's ``bits`` (site → bits). 8 bits become QuantizeLinear and DequantizeLinear
    pairs with u8 activations and s8 weights per output channel, with ranges found on ``calibration``. Without
    calibration data, the ranges are found on random inputs: such a file has the same structure and latency as the real
    one, but its outputs are meaningless.
    """

    #: Name of the format that it writes, and the suffix of its files.
    format: str
    suffix: str

    @abstractmethod
    def export(
        self,
        network: Network,
        path: Path,
        *,
        input_shape: tuple[int, ...],
        calibration: Tensor | None = None,
        runtime: str = "onnxruntime",
    ) -> Artifact:
        """Write ``path`` and check it against torch.

        Args:
            network: a finished network; it is in eval mode afterwards.
            path: file to write; its folder exists.
            input_shape: ``(N, C, H, W)``.
            calibration: training inputs ``(M, C, H, W)``, needed for correct outputs with 8 bits. The file is compared
                with the network on the first of them, or on random inputs without any.
            runtime: the runtime that the file is checked in; it must open ``format``.

        Raises:
            ExportError: no file can be written, or the file computes something else than the network, by a tolerance
                that is relative to the variance of the output.
        """


EXPORTERS: Registry[type[Exporter]] = Registry(
    "exporters", {"onnx": "nas.export.onnx:OnnxExporter"}, subclasses_of=Exporter
)
