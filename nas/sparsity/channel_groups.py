"""Finds the groups of layers in a network's graph that share their channels."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from torch import fx
from torch.nn.utils.parametrize import is_parametrized

from nas.graph.identity import own_parameters
from nas.graph.tracing import TracedGraph, TracedNode
from nas.ops import Channels
from nas.ops.flatten import FlattenOp, wanted_channels
from nas.sparsity.channel_counts import counted_tensors


@dataclass
class ChannelGroup:
    """Channels that different layers share, so that each can be removed only from all of them."""

    size: int
    #: Modules whose output channels are exactly these.
    writers: list[str] = field(default_factory=list)
    #: Modules that process each channel by itself (batch norms, depthwise convolutions), with the width of a channel.
    followers: list[tuple[str, int]] = field(default_factory=list)
    #: Modules that read the channels, with the number of consecutive inputs per channel.
    readers: list[tuple[str, int]] = field(default_factory=list)
    #: Whether the channels can't be removed: they reach the network's input or output, or a layer that needs them all.
    whole: bool = False

    def take(self, other: ChannelGroup) -> None:
        """Merge another group into this one."""
        self.writers += other.writers
        self.followers += other.followers
        self.readers += other.readers
        self.whole |= other.whole


@dataclass
class _Value:
    """The channels of a value; each channel of the group is ``repeat`` consecutive channels of the value."""

    group: ChannelGroup
    repeat: int = 1


def channel_groups(graph: TracedGraph) -> list[ChannelGroup]:
    """All groups of channels of a network, in the order in which they are first written.

    ``graph`` must include the calls that no output depends on, because they have to fit the remaining channels too.
    """
    walk = _Walk(graph)
    for index, node in enumerate(graph.nodes):
        walk.values.append(walk.value_of(index, node))
    for output in graph.outputs:
        walk.values[output].group.whole = True
    return list({id(value.group): value.group for value in walk.values}.values())


class _Walk:
    def __init__(self, graph: TracedGraph) -> None:
        self.graph = graph
        self.values: list[_Value] = []
        self.calls = Counter(node.path for node in graph.nodes if node.path)
        self.uses = Counter(id(tensor) for index in range(len(graph.nodes)) for tensor in own_parameters(graph, index))
        self.index = {node.call.node: index for index, node in enumerate(graph.nodes)}
        self.shapes = {node.call.node: node.call.output_shape for node in graph.nodes}

    def value_of(self, index: int, node: TracedNode) -> _Value:
        inputs = [self.values[source] for source in node.inputs]
        flow = self._flow(index, node)
        if not self._fits_without(node):
            flow = "fixed"
        if flow == "mixed":
            (source,) = inputs
            source.group.readers.append((node.path, source.repeat))
            return _Value(ChannelGroup(node.call.output_shape[1], writers=[node.path]))
        followed = self._follow(node, inputs) if flow == "same" else None
        if followed is not None:
            if node.call.module is not None:
                followed.group.followers.append((node.path, followed.repeat))
            return followed
        for value in inputs:
            value.group.whole = True
        return _Value(ChannelGroup(node.call.output_shape[1] if len(node.call.output_shape) > 1 else 1, whole=True))

    def _flow(self, index: int, node: TracedNode) -> Channels:
        shapes = [*node.call.input_shapes, node.call.output_shape]
        known = node.op is not None and all(len(shape) in (2, 4) for shape in shapes)
        alone = known and self.calls[node.path] <= 1 and self._owns_its_parameters(index, node)
        return node.op.channels(node.call) if node.op and alone else "fixed"

    def _owns_its_parameters(self, index: int, node: TracedNode) -> bool:
        """Whether nothing else reads the parameters of the node's module, and nothing computes or hooks into them."""
        module = node.call.module
        if module is None:
            return True
        hooked = module._forward_pre_hooks or module._forward_hooks or any(map(is_parametrized, module.modules()))
        return not hooked and all(self.uses[id(tensor)] == 1 for tensor in own_parameters(self.graph, index))

    def _fits_without(self, node: TracedNode) -> bool:
        """Whether the numbers in a call's arguments stay right when channels are removed.

        A reshape may use the number of channels of its own input. Any other use of a number of channels makes these
        channels impossible to remove.
        """
        wanted = wanted_channels(node.call) if isinstance(node.op, FlattenOp) else None
        counted = self._counted([node.call.node.args, node.call.node.kwargs])
        own = [value for value in self._counted(wanted) if self._like(value, node)]
        foreign = [value for value in counted if not any(value is item for item in own)]
        for value in foreign:
            value.group.whole = True
        return not foreign and not isinstance(wanted, int)

    def _like(self, value: _Value, node: TracedNode) -> bool:
        source = self.values[node.inputs[0]]
        return value.group is source.group and value.repeat == source.repeat

    def _counted(self, arguments: Any) -> list[_Value]:
        """Values on whose number of channels the arguments depend."""
        nodes: set[fx.Node] = counted_tensors(arguments, self.shapes)
        return [self.values[position] for position in sorted(self.index[node] for node in nodes)]

    def _follow(self, node: TracedNode, inputs: list[_Value]) -> _Value | None:
        """The channels that all inputs share, as a value; None if the inputs do not fit together."""
        after = node.call.output_shape
        if len(inputs) == 1:
            before = node.call.input_shapes[0][1]
            return _Value(inputs[0].group, inputs[0].repeat * after[1] // before) if after[1] % before == 0 else None
        # An input with one channel, which is broadcast, does not belong to the group.
        several = [value for value, shape in zip(inputs, node.call.input_shapes, strict=True) if shape[1] > 1]
        if after[1] == 1 or len({value.repeat for value in several}) != 1:
            return None
        for value, shape in zip(inputs, node.call.input_shapes, strict=True):
            value.group.whole |= shape[1] == 1
        for value in several[1:]:
            self._unite(several[0].group, value.group)
        return several[0]

    def _unite(self, one: ChannelGroup, other: ChannelGroup) -> None:
        if one is other:
            return
        one.take(other)
        for value in self.values:
            if value.group is other:
                value.group = one
