"""Finds modules of equal structure, which become one class with arguments for what differs."""

from __future__ import annotations

from collections.abc import Hashable, Iterator
from dataclasses import dataclass, field
from typing import Any

from nas.export.plain.tree import Attribute, Block, Chain, Child, Layer, Operand, Parameter, Several, Value, parts


@dataclass(frozen=True)
class Slot:
    """An argument in the constructor of a class: the child it belongs to, and its name."""

    child: str
    name: str


@dataclass(eq=False)
class Class:
    """A class of the source."""

    name: str
    instances: list[Block]
    #: Argument of the class → values of all instances.
    arguments: dict[str, tuple[Any, ...]] = field(default_factory=dict)
    #: Position of a slot among the slots of an instance → expression of arguments that fills it.
    filled: dict[int, str] = field(default_factory=dict)

    def given(self, block: Block) -> dict[str, Any]:
        """The arguments with which an instance is made."""
        place = self.instances.index(block)
        return {name: values[place] for name, values in self.arguments.items()}


def structure(child: Child) -> Hashable:
    """Everything of a module except the arguments of layers; equal for modules that can share a class."""
    if isinstance(child, Layer):
        return ("layer", child.name, tuple(child.arguments))
    if isinstance(child, Parameter):
        return ("parameter", child.is_trained, str(child.tensor.dtype))
    inner = tuple((name, structure(item)) for name, item in parts(child))
    if not isinstance(child, Block):
        return (type(child).__name__, inner)
    return ("block", child.name, inner, _forward(child))


def find_classes(root: Block) -> dict[Hashable, Class]:
    """Structure → class, for all blocks; classes come after those that they use."""
    found: dict[Hashable, Class] = {}
    names: dict[str, int] = {}
    for block in _blocks(root):
        key = structure(block)
        if key not in found:
            names[block.name] = count = names.get(block.name, 0) + 1
            found[key] = Class(block.name if count == 1 else f"{block.name}{count}", [])
        found[key].instances.append(block)
    for item in found.values():
        _choose_arguments(item, found)
    return found


def _blocks(child: Child) -> Iterator[Block]:
    """All blocks, those inside others first."""
    for _, item in parts(child):
        yield from _blocks(item)
    if isinstance(child, Block):
        yield child


def _forward(block: Block) -> Hashable:
    """The block's ``forward`` with values numbered in the order in which they appear."""
    numbers: dict[Value, int] = {}

    def number(operand: Operand) -> Hashable:
        return operand.name if isinstance(operand, Attribute) else numbers.setdefault(operand, len(numbers))

    inputs = tuple(map(number, block.inputs))
    body = tuple(
        (
            item.child,
            item.expression,
            len(item.numbers),
            tuple(map(number, item.inputs)),
            tuple(map(number, item.outputs)),
        )
        for item in block.body
    )
    return inputs, body, tuple(map(number, block.outputs))


def slots(child: Child, classes: dict[Hashable, Class], name: str = "") -> Iterator[tuple[Slot, Any]]:
    """The arguments with which a module makes its children, in the order of the source."""
    if isinstance(child, Layer):
        yield from ((Slot(name, argument), value) for argument, value in child.arguments.items())
    elif isinstance(child, Parameter):
        shape = tuple(child.tensor.shape)
        yield Slot(name, "size"), shape[0] if len(shape) == 1 else shape
    elif isinstance(child, Block):
        given = classes[structure(child)].given(child)
        yield from ((Slot(name, argument), value) for argument, value in given.items())
    elif isinstance(child, Chain | Several):
        for item in child.items:
            yield from slots(item, classes, name)


def slots_of(block: Block, classes: dict[Hashable, Class]) -> list[tuple[Slot, Any]]:
    """The arguments with which a block makes its children, then the numbers of its ``forward``."""
    found = [item for name, child in block.children.items() for item in slots(child, classes, name)]
    return found + [(Slot("", name), value) for item in block.body for name, value in item.numbers]


def _choose_arguments(item: Class, classes: dict[Hashable, Class]) -> None:
    """Choose the arguments of a class: places whose values differ between instances; equal ones share an argument."""
    lists = [slots_of(block, classes) for block in item.instances]
    groups: dict[str, tuple[tuple[Any, ...], list[int]]] = {}
    for place in range(len(lists[0])):
        values = tuple(found[place][1] for found in lists)
        if all(_equal(value, values[0]) for value in values):
            continue
        group = groups.setdefault(repr((values, isinstance(values[0], bool))), (values, []))
        group[1].append(place)
    wanted = [[lists[0][place][0] for place in places] for _, places in groups.values()]
    names = _names(wanted)
    kernels = [
        (name, values)
        for name, (values, _), slots_ in zip(names, groups.values(), wanted, strict=True)
        if slots_[0].name == "kernel_size"
    ]
    for name, (values, places), slots_ in zip(names, groups.values(), wanted, strict=True):
        half = _half_of(values, kernels) if {slot.name for slot in slots_} == {"padding"} else None
        if half is None:
            item.arguments[name] = values
        item.filled.update(dict.fromkeys(places, half or name))


def _half_of(values: tuple[Any, ...], kernels: list[tuple[str, tuple[Any, ...]]]) -> str | None:
    """The expression for paddings that keep the size of a map; None otherwise."""
    for name, sizes in kernels:
        if all(isinstance(size, int) and size // 2 == value for size, value in zip(sizes, values, strict=True)):
            return f"{name} // 2"
    return None


def _equal(first: Any, second: Any) -> bool:
    return type(first) is type(second) and first == second


def _names(groups: list[list[Slot]]) -> list[str]:
    """A name for each argument: that of its first place, with the child's name where it would not be unique."""
    short = [slots[0].name for slots in groups]
    names: list[str] = []
    for slots_, name in zip(groups, short, strict=True):
        unique = name if short.count(name) == 1 else f"{slots_[0].child}_{name}".lstrip("_")
        number = 1
        while (found := unique if number == 1 else f"{unique}_{number}") in names:
            number += 1
        names.append(found)
    return names
