"""A call: one node of a traced network as its op sees it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch import fx, nn

Shape = tuple[int, ...]


@dataclass(frozen=True)
class Input:
    """A placeholder in a call's arguments for the tensor input with this index."""

    index: int


@dataclass(frozen=True)
class Call:
    """One node of a traced network, as its op sees it."""

    node: fx.Node
    #: The leaf module, or None for a function or method.
    module: nn.Module | None
    #: Shapes of the tensor inputs, batch included, in order.
    input_shapes: tuple[Shape, ...]
    output_shape: Shape
    #: The arguments of the call, with ``Input`` for tensors and numbers for values that the graph computes from shapes.
    args: tuple[Any, ...] = ()
    kwargs: Mapping[str, Any] = field(default_factory=dict)

    def argument(self, position: int, name: str, default: Any = None) -> Any:
        """An argument that is given by position (the first tensor is 0) or by name."""
        return self.args[position] if len(self.args) > position else self.kwargs.get(name, default)
