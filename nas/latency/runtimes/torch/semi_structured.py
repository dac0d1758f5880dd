"""2:4 sparse weights on a GPU: only two of every four inputs are stored and multiplied."""

from __future__ import annotations

import torch
from torch import Tensor, fx
from torch.nn import functional as F

from nas.errors import MeasureError

#: Rows and columns must be multiples of these numbers (for 16-bit values).
_MULTIPLE_OF = (32, 64)


def make_sparse(module: fx.GraphModule) -> int:
    """Make linear layers and 1×1 convolutions with 2:4 weights use sparse kernels; returns their number.

    Args:
        module: a module on the GPU, with 16-bit weights as buffers.

    Raises:
        MeasureError: no weight is 2:4 with sizes that the kernels support.
    """
    count = 0
    for node in list(module.graph.nodes):
        weight = _weight(module, node)
        if weight is None or not is_two_of_four(weight):
            continue
        name = str(node.args[1].target)
        rows = weight.flatten(1)
        module.register_buffer(name, torch.sparse.to_sparse_semi_structured(rows))
        if node.target is F.conv2d:
            node.target = pointwise
            node.args = node.args[:3]
        count += 1
    if not count:
        raise MeasureError(
            "no weight of this file keeps two of four inputs and has sizes that sparse kernels support (multiples of "
            f"{' × '.join(map(str, _MULTIPLE_OF))}); leave semi_structured out for this file"
        )
    module.recompile()
    return count


def is_two_of_four(weight: Tensor) -> bool:
    """Whether a weight ``(O, I)`` or ``(O, I, 1, 1)`` keeps at most two of every four inputs, in supported sizes."""
    rows = weight.flatten(1)
    if any(size % multiple for size, multiple in zip(rows.shape, _MULTIPLE_OF, strict=True)):
        return False
    return bool((rows.reshape(len(rows), -1, 4).count_nonzero(-1) <= 2).all())


def pointwise(value: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    """A 1×1 convolution of ``(N, C, H, W)`` as a linear layer over pixels; in channels_last nothing is copied."""
    return F.linear(value.permute(0, 2, 3, 1), weight, bias).permute(0, 3, 1, 2)


def _weight(module: fx.GraphModule, node: fx.Node) -> Tensor | None:
    """The weight of a linear layer or plain 1×1 convolution; None for other nodes."""
    if node.op != "call_function" or node.target not in (F.linear, F.conv2d):
        return None
    source = node.args[1]
    if not isinstance(source, fx.Node) or source.op != "get_attr" or len(source.users) > 1:
        return None
    weight = getattr(module, str(source.target))
    if node.target is F.conv2d:
        plain = node.args[3:7] == ([1, 1], [0, 0], [1, 1], 1)
        return weight if plain and weight.shape[2:] == (1, 1) else None
    return weight if weight.ndim == 2 else None
