"""Merges an expression into the next line if only that line uses it."""

from __future__ import annotations

import re
from collections import Counter

from nas.export.plain.tree import Block, Child, Operand, Statement, parts

#: Longest expression, with placeholders in place of names.
LONGEST = 72
_PLACEHOLDER = re.compile(r"\{(c?)(\d+)\}")


def shortened(child: Child) -> None:
    """Merge the lines of all ``forward`` in a tree of modules, in place."""
    for _, item in parts(child):
        shortened(item)
    if isinstance(child, Block):
        child.body = _merged(child)


def _merged(block: Block) -> list[Statement]:
    uses = Counter(operand for statement in block.body for operand in statement.inputs) + Counter(block.outputs)
    found: list[Statement] = []
    for statement in block.body:
        while found and _can_merge(found[-1], statement, uses):
            merged = _merge(found[-1], statement)
            if len(merged.expression) > LONGEST:
                break
            statement = merged
            found.pop()
        found.append(statement)
    return found


def _can_merge(first: Statement, second: Statement, uses: Counter[Operand]) -> bool:
    if first.child or first.expression.startswith("self.") or len(first.outputs) != 1:
        return False
    (value,) = first.outputs
    if uses[value] != 1 or value not in second.inputs:
        return False
    return _expression(second).count(f"{{{second.inputs.index(value)}}}") == 1


def _merge(first: Statement, second: Statement) -> Statement:
    place = second.inputs.index(first.outputs[0])
    inputs = list(first.inputs)
    numbers = list(first.numbers)
    text = _expression(second)

    def placed(found: re.Match[str]) -> str:
        is_number, index = found[1] == "c", int(found[2])
        if is_number:
            numbers.append(second.numbers[index])
            return f"{{c{len(numbers) - 1}}}"
        if index == place:
            return _enclosed(first.expression, text, found)
        operand = second.inputs[index]
        if operand not in inputs:
            inputs.append(operand)
        return f"{{{inputs.index(operand)}}}"

    expression = _PLACEHOLDER.sub(placed, text)
    return _in_order(Statement(second.outputs, tuple(inputs), "", expression, tuple(numbers)))


def _in_order(statement: Statement) -> Statement:
    """The statement with its numbers in the order of the text."""
    order = [int(found[2]) for found in _PLACEHOLDER.finditer(statement.expression) if found[1]]
    new = {old: place for place, old in enumerate(order)}
    text = _PLACEHOLDER.sub(lambda found: f"{{c{new[int(found[2])]}}}" if found[1] else found[0], statement.expression)
    numbers = tuple(statement.numbers[old] for old in order)
    return Statement(statement.outputs, statement.inputs, "", text, numbers)


def _expression(statement: Statement) -> str:
    if not statement.child:
        return statement.expression
    return f"self.{statement.child}({', '.join(f'{{{index}}}' for index in range(len(statement.inputs)))})"


def _enclosed(inner: str, text: str, found: re.Match[str]) -> str:
    """The expression for a place in another one, in parentheses if it needs them."""
    before, after = text[: found.start()], text[found.end() :]
    is_argument = before.endswith(("(", ", ", "=")) and after[:1] in (",", ")")
    return f"({inner})" if _has_operator(inner) and not is_argument else inner


def _has_operator(text: str) -> bool:
    depth = 0
    for letter in text:
        depth += (letter in "([") - (letter in ")]")
        if letter == " " and depth == 0:
            return True
    return text[:1] in "-~"
