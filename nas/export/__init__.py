"""Deployable artifacts: the file that ships, and what is known about it."""

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
    """A file a runtime can open."""

    path: Path
    format: str
    #: ``"fx"`` (our own emitter) or ``"torch"`` (torch's exporter, because of an uncovered node).
    route: str
    sha256: str
    size_bytes: int
    #: Hash of graph, shapes, dtypes and non-zeros per row block: equal hash, equal latency.
    structure_hash: str
    #: Shape of the one input, batch included; its dtype is float32 whatever the precision inside.
    input_shape: tuple[int, ...]
    #: Largest absolute difference to torch's output over that output's standard deviation.
    relative_error: float
    #: Anything else worth keeping: the uncovered node of a fallback, seconds, opset.
    record: Mapping[str, Any]


class Exporter(ABC):
    """Turns a network into a file.

    A network's ``bits`` (site → bits) are emitted as they ship: 8 becomes QuantizeLinear/DequantizeLinear
    pairs with u8 activations and s8 weights per output channel, calibrated on ``calibration``. Without
    calibration data the ranges are seeded: such a file is structure-true (it times like the real one) and
    its numbers mean nothing.
    """

    #: Name of the format it writes, and the suffix of its files.
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
            network: in eval mode afterwards; weights as they are.
            path: file to write; its folder exists.
            input_shape: ``(N, C, H, W)``.
            calibration: ``(M, C, H, W)`` training inputs, needed for true numbers at 8 bits; the file is compared with
                the network on the first of them, or on seeded inputs without any.
            runtime: what the file is checked in; one that opens ``format``.

        Raises:
            ExportError: neither route works, or the file computes something else (relative tolerance; the
                output of a fp32 file must have variance).
        """


EXPORTERS: Registry[type[Exporter]] = Registry(
    "exporters", {"onnx": "nas.export.onnx:OnnxExporter"}, subclasses_of=Exporter
)
