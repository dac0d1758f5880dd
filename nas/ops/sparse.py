"""The op of layers that learn which of their weights to keep."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, cast

from torch import nn

from nas.layers.sparse import SparseConv2d, SparseLinear
from nas.ops import Call, Example, Integer, Op, Shape, Weights
from nas.ops.conv import Conv2dOp
from nas.ops.linear import LinearOp
from nas.papers import Paper

if TYPE_CHECKING:
    from nas.export.onnx_graph import OnnxGraph


class SparseOp(Op):
    """``SparseConv2d`` and ``SparseLinear``: layers that learn which weights to keep.

    They are written as the dense layer of the masked weight.
    """

    paper = Paper(
        7, "DASS (Mousavi et al. 2022)", "tests/unit/nas/ops/test_sparse.py::test_forward_is_the_dense_op_of_the_mask"
    )
    targets = (SparseConv2d, SparseLinear)

    def shape(self, call: Call) -> Shape | None:
        """See ``Op.shape``."""
        return _dense(call).shape(call)

    def integer(self, call: Call) -> Integer:
        """See ``Op.integer``."""
        return _dense(call).integer(call)

    def weights(self, call: Call) -> Weights:
        """See ``Op.weights``."""
        dense = _dense(call).weights(call)
        return Weights(_layer(call).masked_weight, dense.bias, dense.axis)

    def emit(self, graph: OnnxGraph, call: Call, inputs: Sequence[str]) -> str:
        """See the dense op."""
        return _dense(call).emit(graph, call, inputs)

    def macs(self, call: Call) -> int:
        """The count of the dense op, because the runtime decides whether zeros are skipped."""
        return _dense(call).macs(call)

    def attributes(self, call: Call) -> dict[str, Any]:
        """See ``Op.attributes``."""
        return {"kept": _layer(call).kept, **_dense(call).attributes(call)}

    def examples(self) -> Sequence[Example]:
        """See ``Op.examples``."""
        settings: dict[str, tuple[nn.Module, Shape]] = {
            "pointwise": (SparseConv2d(4, 6, 1, kept=0.3), (2, 4, 9, 8)),
            "pointwise_fewer": (SparseConv2d(4, 6, 1, kept=0.1), (2, 4, 9, 8)),
            "dense": (SparseConv2d(4, 6, 1, kept=1.0), (2, 4, 9, 8)),
            "strided": (SparseConv2d(4, 6, 3, stride=2, padding=1, bias=False, kept=0.5), (2, 4, 9, 8)),
            "grouped": (SparseConv2d(4, 6, 3, groups=2, dilation=2, kept=0.5), (2, 4, 9, 8)),
            "linear": (SparseLinear(7, 5, kept=0.2), (3, 7)),
            "linear_tokens": (SparseLinear(7, 5, bias=False, kept=0.5), (2, 4, 7)),
        }
        return [Example(name, nn.Sequential(layer), shape) for name, (layer, shape) in settings.items()]


_CONVOLUTION, _LINEAR = Conv2dOp(), LinearOp()


def _layer(call: Call) -> SparseConv2d | SparseLinear:
    return cast(SparseConv2d | SparseLinear, call.module)


def _dense(call: Call) -> Conv2dOp | LinearOp:
    return _CONVOLUTION if isinstance(call.module, nn.Conv2d) else _LINEAR
