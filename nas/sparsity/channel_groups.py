"""Which layers of a network share their channels, found on its graph."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from nas.ops import Channels
from nas.space.tracing import TracedGraph, TracedNode


@dataclass
class ChannelGroup:
    """Channels that can only go together."""

    size: int
    #: Modules whose every output channel is one of these.
    writers: list[str] = field(default_factory=list)
    #: Modules that treat each of these channels by itself: batch norms, depthwise convolutions.
    followers: list[str] = field(default_factory=list)
    #: Modules that read them, and by how many consecutive inputs each.
    readers: list[tuple[str, int]] = field(default_factory=list)
    #: Whether they reach the network's input or output, or something that can't lose channels.
    whole: bool = False

    def take(self, other: ChannelGroup) -> None:
        """Become both."""
        self.writers += other.writers
        self.followers += other.followers
        self.readers += other.readers
        self.whole |= other.whole


@dataclass
class _Value:
    """The channels of a value: each ``repeat`` wide."""

    group: ChannelGroup
    repeat: int = 1


def channel_groups(graph: TracedGraph) -> list[ChannelGroup]:
    """Every group of channels of a network, in the order in which they are first written."""
    walk = _Walk(graph)
    for node in graph.nodes:
        walk.values.append(walk.value_of(node))
    for output in graph.outputs:
        walk.values[output].group.whole = True
    return list({id(value.group): value.group for value in walk.values}.values())


class _Walk:
    def __init__(self, graph: TracedGraph) -> None:
        self.graph = graph
        self.values: list[_Value] = []
        self.calls = Counter(node.path for node in graph.nodes if node.path)

    def value_of(self, node: TracedNode) -> _Value:
        inputs = [self.values[source] for source in node.inputs]
        flow = self._flow(node)
        if flow == "mixed":
            (source,) = inputs
            source.group.readers.append((node.path, source.repeat))
            return _Value(ChannelGroup(node.call.output_shape[1], writers=[node.path]))
        followed = self._follow(node, inputs) if flow == "same" else None
        if followed is not None:
            if node.call.module is not None:
                followed.group.followers.append(node.path)
            return followed
        for value in inputs:
            value.group.whole = True
        return _Value(ChannelGroup(node.call.output_shape[1] if len(node.call.output_shape) > 1 else 1, whole=True))

    def _flow(self, node: TracedNode) -> Channels:
        shapes = [*node.call.input_shapes, node.call.output_shape]
        known = node.op is not None and all(len(shape) in (2, 4) for shape in shapes)
        return node.op.channels(node.call) if node.op and known and self.calls[node.path] <= 1 else "fixed"

    def _follow(self, node: TracedNode, inputs: list[_Value]) -> _Value | None:
        """The value whose channels are those of all inputs; None where they do not fit together."""
        after = node.call.output_shape
        if len(inputs) == 1:
            before = node.call.input_shapes[0][1]
            return _Value(inputs[0].group, inputs[0].repeat * after[1] // before) if after[1] % before == 0 else None
        # One channel that is broadcast to all has no part in this.
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
