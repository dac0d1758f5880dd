"""Finds numbers in a traced graph that depend on the number of channels of a tensor."""

from __future__ import annotations

import operator
from collections.abc import Mapping
from typing import Any

from torch import fx

from nas.ops import Shape

#: Dimension of the channels.
_CHANNELS = 1
_OTHER_FACTS = frozenset({"device", "dtype", "ndim", "dim", "is_cuda", "requires_grad", "layout", "type"})


def counted_tensors(value: Any, shapes: Mapping[fx.Node, Shape]) -> set[fx.Node]:
    """The tensors on whose number of channels an argument of a call depends.

    Args:
        value: the argument; tensors in it do not count.
        shapes: shapes of all tensors of the graph.
    """
    numbers: list[fx.Node] = []
    fx.node.map_arg(value, lambda node: numbers.append(node) if node not in shapes else None)
    return set().union(*(_of_number(node, shapes) for node in numbers))


def _of_number(node: fx.Node, shapes: Mapping[fx.Node, Shape]) -> set[fx.Node]:
    """The tensors on whose number of channels a node that is not a tensor depends."""
    sources = node.all_input_nodes
    if node.target is operator.getitem and _is_shape(sources[0], shapes):
        tensor = sources[0].all_input_nodes[0]
        return {tensor} if _covers_channels(node.args[1], len(shapes[tensor])) else set()
    found: set[fx.Node] = set()
    for source in sources:
        if source not in shapes:
            found |= _of_number(source, shapes)
        elif _counts_channels(node, len(shapes[source])):
            found.add(source)
    return found


def _counts_channels(node: fx.Node, dimensions: int) -> bool:
    """Whether a node takes the number of channels, alone or in a shape, from a tensor."""
    if node.op == "call_method" and node.target == "size":
        axis = node.args[1] if len(node.args) > 1 else node.kwargs.get("dim")
        return axis is None or _covers_channels(axis, dimensions)
    fact = node.args[1] if node.target is getattr else node.target
    return fact not in _OTHER_FACTS and fact is not len


def _covers_channels(index: Any, dimensions: int) -> bool:
    if isinstance(index, int):
        return dimensions == 0 or index % dimensions == _CHANNELS
    return not isinstance(index, slice) or _CHANNELS in range(dimensions)[index]


def _is_shape(node: fx.Node, shapes: Mapping[fx.Node, Shape]) -> bool:
    """Whether a node is the whole shape of a tensor."""
    if len(node.all_input_nodes) != 1 or node.all_input_nodes[0] not in shapes:
        return False
    if node.op == "call_method":
        return node.target == "size" and len(node.args) == 1 and not node.kwargs
    return node.target is getattr and node.args[1] == "shape"
