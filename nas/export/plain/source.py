"""Writes the classes of a network as Python text."""

from __future__ import annotations

import inspect
import re
from collections.abc import Hashable, Iterator, Sequence
from itertools import groupby
from typing import Any

import torch

from nas.export.plain import rounded
from nas.export.plain.classes import Class, find_classes, slots_of, structure
from nas.export.plain.expressions import literal
from nas.export.plain.tree import Attribute, Block, Chain, Child, Layer, Operand, Parameter, Several, Statement, Value

#: Names of values in a ``forward``.
_LETTERS = "xyzuvwabcdefghijklmnopqrst"
#: Longest line.
WIDTH = 100


def written(root: Block) -> str:
    """The classes of a network, the network's own class last.

    The modules in ``root`` have the names and the order of tensors that the classes have.
    """
    classes = find_classes(root)
    own = [_class_text(item, classes) for item in classes.values()]
    text = "\n\n\n".join(own)
    return "\n\n\n".join([*map(_copied, _used(text)), text])


def _used(text: str) -> list[type]:
    """The classes of ``rounded`` that a text uses, with the classes that they are based on."""
    own = [item for item in vars(rounded).values() if isinstance(item, type) and item.__module__ == rounded.__name__]
    used = [item for item in own if f"{item.__name__}(" in text]
    return [item for item in own if any(issubclass(user, item) for user in used)]


def _copied(item: type) -> str:
    return inspect.getsource(item).rstrip()


def _class_text(item: Class, classes: dict[Hashable, Class]) -> str:
    block = item.instances[0]
    comment = [*_comment(item)]
    lines = [f"class {item.name}(nn.Module):", *comment, *([""] if comment else [])]
    made, numbers = _children_text(item, block, classes)
    if made:
        parameters = [f"{name}{_kind(item, name)}" for name in item.arguments]
        lines += _signature("__init__", ["self", *parameters], "None")
        lines += ["        super().__init__()", *made, ""]
    lines += _forward_text(block, numbers)
    return "\n".join(lines)


def _children_text(item: Class, block: Block, classes: dict[Hashable, Class]) -> tuple[list[str], Iterator[str]]:
    """The lines that make the children, and the texts of the numbers of ``forward``."""
    found = slots_of(block, classes)
    places = iter(range(len(found)))
    lines: list[str] = []
    for name, child in block.children.items():
        lines += _assignment(name, child, classes, item.filled, places)
    kept: dict[str, str] = {}
    numbers = []
    for place in places:
        argument = item.filled.get(place)
        numbers.append(_text(found[place][1]) if argument is None else f"self.{kept.setdefault(argument, argument)}")
    return [*(f"        self.{name} = {name}" for name in kept), *lines], iter(numbers)


def _kind(item: Class, name: str) -> str:
    """The annotation of an argument."""
    kinds = {type(value) for value in item.arguments[name]}
    return f": {kinds.pop().__name__}" if len(kinds) == 1 and kinds <= {int, bool, float, str, tuple} else ""


def _comment(item: Class) -> Iterator[str]:
    paths = [re.sub(r"[^\w.]", "_", block.path) for block in item.instances if block.path]
    if paths:
        shown = ", ".join(paths[:3]) + (f" and {len(paths) - 3} more" if len(paths) > 3 else "")
        text = f'    """{shown}."""'
        yield text if len(text) <= WIDTH else f'    """{paths[0]} and {len(paths) - 1} more."""'


def _signature(name: str, parameters: Sequence[str], returned: str) -> list[str]:
    line = f"    def {name}({', '.join(parameters)}) -> {returned}:"
    if len(line) <= WIDTH:
        return [line]
    return [f"    def {name}(", *(f"        {item}," for item in parameters), f"    ) -> {returned}:"]


def _assignment(
    name: str, child: Child, classes: dict[Hashable, Class], filled: dict[int, str], places: Iterator[int]
) -> list[str]:
    if isinstance(child, Parameter):
        shape = tuple(child.tensor.shape)
        size = filled.get(next(places)) or _text(shape[0] if len(shape) == 1 else shape)
        kind = "" if child.tensor.dtype == torch.float32 else f", dtype={child.tensor.dtype}"
        made = f"torch.zeros({size}{kind})"
        if child.is_trained:
            return [f"        self.{name} = nn.Parameter({made})"]
        return [f'        self.register_buffer("{name}", {made})']
    return _wrapped(f"        self.{name} = ", _made(child, classes, filled, places), "")


#: A call as a tree: the text before the parenthesis, and the arguments.
Call = tuple[str, list[Any]]


def _made(child: Child, classes: dict[Hashable, Class], filled: dict[int, str], places: Iterator[int]) -> Call:
    """The expression that makes a module."""
    if isinstance(child, Layer):
        return child.name, _arguments(child, filled, places)
    if isinstance(child, Block):
        item = classes[structure(child)]
        given = [filled.get(next(places)) or _text(value) for value in item.given(child).values()]
        return item.name, [f"{name}={value}" for name, value in zip(item.arguments, given, strict=True)]
    assert isinstance(child, Chain | Several)
    made = [_made(part, classes, filled, places) for part in child.items]
    if isinstance(child, Several):
        return "nn.ModuleList", [("[", made)]
    return "nn.Sequential", list(_repeated(made))


def _repeated(made: list[Call]) -> Iterator[Any]:
    """Equal expressions that follow one another, as a comprehension."""
    for text, group in groupby(made, key=_flat):
        items = list(group)
        if len(items) < 3:
            yield from items
        else:
            yield f"*[{text} for _ in range({len(items)})]"


def _arguments(layer: Layer, filled: dict[int, str], places: Iterator[int]) -> list[Any]:
    """The arguments of a layer: those without a default by position, others by name if they are not the default."""
    found: list[Any] = []
    for name, value in layer.arguments.items():
        argument = filled.get(next(places))
        if name not in layer.defaults:
            found.append(argument or _text(value))
        elif argument is not None or layer.defaults[name] != value:
            found.append(f"{name}={argument or _text(value)}")
    return found


def _text(value: Any) -> str:
    return literal(value, lambda node: str(node))


def _flat(item: Any) -> str:
    if isinstance(item, str):
        return item
    head, arguments = item
    text = ", ".join(map(_flat, arguments))
    return f"[{text}]" if head == "[" else f"{head}({text})"


def _wrapped(prefix: str, item: Any, end: str) -> list[str]:
    """The lines of a call; one that is too long has one line for each argument."""
    line = f"{prefix}{_flat(item)}{end}"
    if len(line) <= WIDTH or isinstance(item, str):
        return [line]
    head, arguments = item
    indent = " " * (len(prefix) - len(prefix.lstrip()))
    opening, closing = ("[", "]") if head == "[" else (f"{head}(", ")")
    lines = [f"{prefix}{opening}"]
    for argument in arguments:
        lines += _wrapped(f"{indent}    ", argument, ",")
    return [*lines, f"{indent}{closing}{end}"]


def _forward_text(block: Block, numbers: Iterator[str]) -> list[str]:
    names: dict[Value, str] = {}
    last = {operand: index for index, item in enumerate(block.body) for operand in item.inputs}
    last.update(dict.fromkeys(block.outputs, len(block.body)))
    used: set[str] = set()
    for value in block.inputs:
        names[value] = _unique("x", used)
    lines = _signature("forward", ["self", *(f"{names[value]}: Tensor" for value in block.inputs)], _returned(block))
    for index, item in enumerate(block.body):
        text = _call_text(item, names, numbers)
        ended = [operand for operand in item.inputs if isinstance(operand, Value) and last[operand] == index]
        for operand in dict.fromkeys(ended):
            used.discard(names[operand])
        for output in item.outputs:
            freed = next((names[operand] for operand in ended if names[operand] not in used), "")
            names[output] = _unique(freed or "y", used)
        left = ", ".join(names[output] for output in item.outputs)
        lines.append(f"        {left} = {text}")
    return [*_with_return(lines, block, names)]


def _with_return(lines: list[str], block: Block, names: dict[Value, str]) -> Iterator[str]:
    returned = ", ".join(_operand_text(operand, names) for operand in block.outputs)
    *others, last = lines
    assigned, _, text = last.partition(" = ")
    if block.body and assigned.strip() == returned and len(block.outputs) == 1:
        yield from others
        yield f"        return {text}"
    else:
        yield from lines
        yield f"        return {returned}"


def _returned(block: Block) -> str:
    return "Tensor" if len(block.outputs) == 1 else "tuple[Tensor, ...]"


def _call_text(item: Statement, names: dict[Value, str], numbers: Iterator[str]) -> str:
    operands = [_operand_text(operand, names) for operand in item.inputs]
    if item.child:
        return f"self.{item.child}({', '.join(operands)})"
    return item.expression.format(*operands, **{f"c{index}": next(numbers) for index in range(len(item.numbers))})


def _operand_text(operand: Operand, names: dict[Value, str]) -> str:
    return f"self.{operand.name}" if isinstance(operand, Attribute) else names[operand]


def _unique(name: str, used: set[str]) -> str:
    """``name`` or another that is not in use: letters first, then numbers."""
    others = (letter for letter in _LETTERS if letter not in used)
    found = name if name not in used else next(others, f"x{len(used)}")
    used.add(found)
    return found
