"""A network as a tree of modules, between the traced graph and the source text."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from torch import Tensor


@dataclass(frozen=True)
class Layer:
    """A module that is made by calling a class, such as ``nn.Conv2d(3, 8, kernel_size=3)``."""

    #: The class as it is written in the source.
    name: str
    #: Argument → value, in the order of the signature.
    arguments: dict[str, Any]
    #: Name in the module's state → tensor.
    tensors: dict[str, Tensor]
    #: Arguments with these values are left out.
    defaults: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Parameter:
    """A tensor that a module holds itself."""

    tensor: Tensor
    is_trained: bool


@dataclass(eq=False)
class Value:
    """A value that a ``forward`` computes."""


@dataclass(frozen=True)
class Attribute:
    """A parameter that a ``forward`` reads."""

    name: str


Operand: TypeAlias = Value | Attribute


@dataclass(frozen=True)
class Statement:
    """One line of a ``forward``: the call of a child, or an expression."""

    outputs: tuple[Value, ...]
    inputs: tuple[Operand, ...]
    #: Name of the child that is called; empty for an expression.
    child: str
    #: Expression with ``{0}``, ``{1}`` … for the inputs and ``{c0}``, ``{c1}`` … for the numbers.
    expression: str = ""
    #: Integers of the expression, or tuples of them, each with a name for it.
    numbers: tuple[tuple[str, Any], ...] = ()


@dataclass(eq=False)
class Block:
    """A module with a ``forward`` of its own."""

    name: str
    #: Path in the network, for comments.
    path: str
    #: Whether the module was an ``nn.Sequential``.
    sequential: bool = False
    children: dict[str, Child] = field(default_factory=dict)
    inputs: list[Value] = field(default_factory=list)
    body: list[Statement] = field(default_factory=list)
    outputs: list[Operand] = field(default_factory=list)


@dataclass(frozen=True)
class Chain:
    """Modules that are called one after the other: ``nn.Sequential``."""

    items: tuple[Child, ...]


@dataclass(frozen=True)
class Several:
    """Modules in a list: ``nn.ModuleList``."""

    items: tuple[Child, ...]


Child: TypeAlias = Layer | Parameter | Block | Chain | Several


def parts(child: Child) -> list[tuple[str, Child]]:
    """The children of a module with their names."""
    if isinstance(child, Block):
        return list(child.children.items())
    if isinstance(child, Chain | Several):
        return [(str(index), item) for index, item in enumerate(child.items)]
    return []


def state(child: Child, prefix: str = "") -> Iterator[tuple[str, Tensor]]:
    """All tensors of a module under the names of its ``state_dict``."""
    if isinstance(child, Parameter):
        yield prefix.removesuffix("."), child.tensor
    if isinstance(child, Layer):
        for name, tensor in child.tensors.items():
            yield prefix + name, tensor
    for name, item in parts(child):
        yield from state(item, f"{prefix}{name}.")
