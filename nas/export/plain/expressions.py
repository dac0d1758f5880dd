"""Python expressions for calls of functions and tensor methods."""

from __future__ import annotations

import inspect
import operator
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from typing import Any

import torch
from torch import fx
from torch.nn import functional as F

from nas.errors import ExportError

#: Functions of ``operator`` → expression.
_OPERATORS = {
    operator.add: "{} + {}",
    operator.iadd: "{} + {}",
    operator.sub: "{} - {}",
    operator.isub: "{} - {}",
    operator.mul: "{} * {}",
    operator.imul: "{} * {}",
    operator.truediv: "{} / {}",
    operator.itruediv: "{} / {}",
    operator.floordiv: "{} // {}",
    operator.mod: "{} % {}",
    operator.pow: "{} ** {}",
    operator.matmul: "{} @ {}",
    operator.neg: "-{}",
    operator.lt: "{} < {}",
    operator.le: "{} <= {}",
    operator.gt: "{} > {}",
    operator.ge: "{} >= {}",
    operator.eq: "{} == {}",
    operator.ne: "{} != {}",
    operator.and_: "{} & {}",
    operator.or_: "{} | {}",
    operator.invert: "~{}",
}
#: Modules whose functions a source may call → their names in it.
_MODULES = {
    "F": F,
    "torch": torch,
    "torch.linalg": torch.linalg,
    "torch.special": torch.special,
    "torch.fft": torch.fft,
}


def expression(
    node: fx.Node,
    operand: Callable[[fx.Node], str],
    constant: Callable[[Any, str], str] = lambda value, name: repr(value),
) -> str:
    """The call of a node as Python text.

    Args:
        node: a call of a function or of a tensor method.
        operand: the text for a node that the call reads.
        constant: the text for a number or for a tuple of numbers, given a name for it.

    Raises:
        ExportError: the function is not one of torch's, or an argument can't be written.
    """
    names = _parameters(node)

    def text(value: Any, name: str = "size") -> str:
        if isinstance(value, tuple) and len(value) == 1 and _is_number(value):
            return f"({constant(value[0], name)},)"
        return constant(value, name) if _is_number(value) else literal(value, operand)

    def enclosed(value: Any) -> str:
        found = text(value)
        return f"({found})" if " " in found and found[-1] not in ")]" else found

    if node.op == "call_method":
        first, *others = node.args
        return f"{enclosed(first)}.{node.target}({_arguments(others, node.kwargs, text, names[1:])})"
    target: Any = node.target
    if target in _OPERATORS:
        return _OPERATORS[target].format(*map(enclosed, node.args))
    if target is operator.getitem:
        return f"{enclosed(node.args[0])}[{_index(node.args[1], lambda item: literal(item, operand))}]"
    if target is getattr:
        return f"{enclosed(node.args[0])}.{node.args[1]}"
    return f"{function_name(target)}({_arguments(node.args, node.kwargs, text, names)})"


def _is_number(value: Any) -> bool:
    """Whether a value is an integer or a tuple of integers."""
    if isinstance(value, tuple):
        return bool(value) and all(_is_number(item) and not isinstance(item, tuple) for item in value)
    return isinstance(value, int) and not isinstance(value, bool)


def _parameters(node: fx.Node) -> list[str]:
    """The names of a function's parameters, as far as they are known."""
    if not inspect.isfunction(node.target):
        return []
    return list(inspect.signature(node.target).parameters)


def is_operator(target: Any) -> bool:
    """Whether a function is written as an operator of Python."""
    return target in _OPERATORS or target is operator.getitem


def function_name(target: Callable[..., Any]) -> str:
    """The name of a function of torch in a source.

    Raises:
        ExportError: torch has no such function.
    """
    name = _names().get(target)
    if name is None:
        found = f"{getattr(target, '__module__', '')}.{getattr(target, '__qualname__', target)}"
        raise ExportError(f"the function {found.strip('.')} is not one of torch's; compute the same with torch's own")
    return name


@cache
def _names() -> Mapping[Any, str]:
    found: dict[Any, str] = {}
    for prefix, module in _MODULES.items():
        for name in dir(module):
            item = getattr(module, name)
            if callable(item) and not name.startswith("_") and not isinstance(item, type):
                found.setdefault(item, f"{prefix}.{name}")
    return found


def literal(value: Any, operand: Callable[[fx.Node], str]) -> str:
    """A value as Python text.

    Raises:
        ExportError: the value can't be written as text.
    """
    if isinstance(value, fx.Node):
        return operand(value)
    if isinstance(value, tuple | list):
        items = [literal(item, operand) for item in value]
        return f"[{', '.join(items)}]" if isinstance(value, list) else f"({', '.join(items)}{',' * (len(items) == 1)})"
    if isinstance(value, slice):
        return f"slice({', '.join(literal(item, operand) for item in (value.start, value.stop, value.step))})"
    if isinstance(value, float) and (value != value or value in (float("inf"), float("-inf"))):
        return f'float("{value}")'
    if value is None or value is Ellipsis or isinstance(value, bool | int | float):
        return "..." if value is Ellipsis else repr(value)
    if isinstance(value, str):
        return '"' + repr(value)[1:-1].replace('"', '\\"') + '"'
    if isinstance(value, torch.dtype | torch.memory_format | torch.layout):
        return str(value)
    if isinstance(value, torch.device):
        return f'torch.device("{value}")'
    raise ExportError(f"an argument of type {type(value).__name__} can't be written as text")


def _arguments(args: Any, kwargs: Mapping[str, Any], text: Callable[[Any, str], str], names: Sequence[str]) -> str:
    known = [*names[: len(args)], *["size"] * (len(args) - len(names))]
    positional = (text(value, name) for value, name in zip(args, known, strict=True))
    return ", ".join([*positional, *(f"{name}={text(value, name)}" for name, value in kwargs.items())])


def _index(index: Any, text: Callable[[Any], str]) -> str:
    if isinstance(index, tuple):
        return ", ".join(_index(item, text) for item in index)
    if not isinstance(index, slice):
        return text(index)
    bounds = ["" if item is None else text(item) for item in (index.start, index.stop, index.step)]
    return ":".join(bounds[: 3 if bounds[2] else 2])
