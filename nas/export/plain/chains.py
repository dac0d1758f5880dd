"""Turns modules that only call their children in turn into ``nn.Sequential``, and numbered children into lists."""

from __future__ import annotations

from dataclasses import replace

from nas.export.plain.tree import Attribute, Block, Chain, Child, Parameter, Several, Statement, Value


def simplified(block: Block) -> Block:
    """The block with its children simplified; its own structure stays, except that children are gathered."""
    for name, child in list(block.children.items()):
        block.children[name] = _simplified(child)
    if not block.sequential:
        block.body = [_inlined(block, statement) for statement in block.body]
        called = {statement.child for statement in block.body}
        block.children = {
            name: child for name, child in block.children.items() if name in called or isinstance(child, Parameter)
        }
    _gather(block)
    return block


def _inlined(block: Block, statement: Statement) -> Statement:
    """A call of a child that computes one expression without parameters, as this expression."""
    child = block.children.get(statement.child)
    if not isinstance(child, Block) or child.children or len(child.body) != 1 or len(child.inputs) != 1:
        return statement
    (inner,) = child.body
    if any(isinstance(operand, Attribute) for operand in inner.inputs):
        return statement
    return replace(statement, child="", expression=inner.expression, numbers=inner.numbers)


def _simplified(child: Child) -> Child:
    if not isinstance(child, Block):
        return child
    block = simplified(child)
    items = _in_turn(block)
    if items is not None and len(items) == 1:
        return items[0]
    if items is None or not block.sequential:
        return block
    chain = Chain(tuple(items))
    is_numbered = all(name.startswith("layer") and name[5:].isdigit() for name in block.children)
    return chain if is_numbered or depth(chain) == 1 else block


def depth(child: Child) -> int:
    """The number of chains within each other."""
    if not isinstance(child, Chain):
        return 0
    return 1 + max(depth(item) for item in child.items)


def _in_turn(block: Block) -> list[Child] | None:
    """The children in the order of their calls if the block only calls each of them once, one after the other."""
    if len(block.inputs) != 1 or len(block.outputs) != 1 or not block.body:
        return None
    value, names = block.inputs[0], []
    for statement in block.body:
        if not statement.child or statement.inputs != (value,) or len(statement.outputs) != 1:
            return None
        value = statement.outputs[0]
        names.append(statement.child)
    once = len(set(names)) == len(names) == len(block.children) and block.outputs[0] is value
    return [block.children[name] for name in names] if once else None


def _gather(block: Block) -> None:
    """Gather children with dotted names, such as ``blocks.0``: in a chain if they are called in turn, or in a list."""
    lists: dict[str, list[str]] = {}
    for name in block.children:
        head, dot, _ = name.partition(".")
        if dot:
            lists.setdefault(head, []).append(name)
    for head, names in lists.items():
        items = tuple(block.children.pop(name) for name in names)
        places = [index for index, statement in enumerate(block.body) if statement.child in names]
        if _is_run(block, names, places):
            first, last = block.body[places[0]], block.body[places[-1]]
            merged = Statement((Value(),), first.inputs, head)
            block.body[places[0] : places[-1] + 1] = [merged]
            _rename(block, last.outputs[0], merged.outputs[0])
            block.children[head] = items[0] if len(items) == 1 else Chain(items)
        else:
            block.children[head] = Several(items)
            calls = {name: f"{head}[{index}]" for index, name in enumerate(names)}
            block.body = [replace(item, child=calls.get(item.child, item.child)) for item in block.body]
    _keep_order(block)


def _is_run(block: Block, names: list[str], places: list[int]) -> bool:
    run = block.body[places[0] : places[-1] + 1]
    if [statement.child for statement in run] != names:
        return False
    inner = [statement.outputs for statement in run[:-1]]
    follows = all(item.inputs == outputs for item, outputs in zip(run[1:], inner, strict=True))
    others = [item for item in block.body if item not in run]
    read = {operand for item in others for operand in item.inputs} | set(block.outputs)
    return (
        len(run[0].inputs) == 1
        and all(len(item.outputs) == 1 for item in run)
        and follows
        and not any(outputs[0] in read for outputs in inner)
    )


def _rename(block: Block, old: Value, new: Value) -> None:
    block.body = [
        replace(item, inputs=tuple(new if operand is old else operand for operand in item.inputs))
        for item in block.body
    ]
    block.outputs = [new if operand is old else operand for operand in block.outputs]


def _keep_order(block: Block) -> None:
    """Put the children into the order of their calls; parameters come first."""
    called = [statement.child.partition("[")[0] for statement in block.body if statement.child]
    order = {name: called.index(name) if name in called else -1 for name in block.children}
    block.children = dict(sorted(block.children.items(), key=lambda item: order[item[0]]))
