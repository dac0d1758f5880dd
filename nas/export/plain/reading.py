"""Reads the traced graph of a network into a tree of modules."""

from __future__ import annotations

import inspect
import keyword
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, cast

import torch
from torch import Tensor, fx, nn
from torch.nn.utils.parametrize import type_before_parametrizations

from nas.errors import ExportError
from nas.export.onnx_graph import Parameter as ShippedParameter
from nas.export.plain.classes import structure
from nas.export.plain.expressions import expression, is_operator
from nas.export.plain.layers import is_torch, quantize_layer, torch_layer, weighted_layers
from nas.export.plain.tree import Attribute, Block, Chain, Child, Layer, Operand, Parameter, Statement, Value, state
from nas.export.shipped import Shipped
from nas.graph.tracing import TracedGraph, TracedNode, follow_in_place
from nas.ops import Op
from nas.ops.identity import IdentityOp
from nas.quantization.steps import Steps


def read_network(graph: TracedGraph, shipped: Shipped) -> Block:
    """The tree of a network's modules, with the parameters that ship.

    Raises:
        ExportError: a part of the network can't be written in functions and modules of torch; the message names it.
    """
    info = {node.call.node: node for node in graph.nodes}
    of_node: dict[fx.Node, dict[str, ShippedParameter | None]] = {}
    for (node, name), parameter in shipped.parameters.items():
        of_node.setdefault(node, {})[name] = parameter
    nodes = [node.call.node for node in graph.nodes]
    steps = {nodes[index]: item for index, item in shipped.steps.items()}
    folded = {nodes[index] for index in shipped.folded.norms}
    known = _Known(info, of_node, steps, folded)
    return _Reader(graph.model, nodes[0].graph, known).network("Network")


@dataclass(frozen=True)
class _Known:
    """What is known of the nodes of a graph: ops, parameters that ship, and how values are rounded."""

    info: Mapping[fx.Node, TracedNode] = field(default_factory=dict)
    shipped: Mapping[fx.Node, Mapping[str, ShippedParameter | None]] = field(default_factory=dict)
    steps: Mapping[fx.Node, Steps] = field(default_factory=dict)
    folded: Iterable[fx.Node] = ()

    def op(self, node: fx.Node) -> Op | None:
        return self.info[node].op if node in self.info else None

    def passes_on(self, node: fx.Node, module: nn.Module | None) -> bool:
        """Whether the value of a node is its input: it is an identity, or it was folded into the layer before it."""
        if node in self.folded or (node.target == "contiguous" and "memory_format" in node.kwargs):
            return True
        identity = isinstance(self.op(node), IdentityOp) or isinstance(module, nn.Identity | nn.Dropout)
        return identity and len(node.all_input_nodes) == 1


@dataclass(eq=False)
class _Scope:
    """One call of a module: the nodes and the calls of modules in it."""

    path: str
    items: list[fx.Node | _Scope] = field(default_factory=list)

    def nodes(self) -> list[fx.Node]:
        return [node for item in self.items for node in (item.nodes() if isinstance(item, _Scope) else [item])]


class _Reader:
    """Reads one graph."""

    def __init__(self, model: nn.Module, graph: fx.Graph, known: _Known) -> None:
        self._model, self._known = model, known
        self._nodes = list(graph.nodes)
        self._instead: dict[fx.Node, fx.Node] = {}
        for node in self._nodes:
            if node.op not in ("placeholder", "output") and known.passes_on(node, self._module(node)):
                self._instead[node] = node.all_input_nodes[0]
        self._users: dict[fx.Node, set[fx.Node]] = {}
        self._live = self._needed()

    def network(self, name: str) -> Block:
        scope = _Scope("")
        open_scopes = [("", scope)]
        for node in self._nodes:
            if node in self._live and node.op in ("call_module", "call_function", "call_method"):
                open_scopes = self._enter(open_scopes, self._stack(node))
                open_scopes[-1][1].items.append(node)
        return self._block(scope, name)

    def _module(self, node: fx.Node) -> nn.Module | None:
        return self._model.get_submodule(str(node.target)) if node.op == "call_module" else None

    def _resolved(self, node: fx.Node) -> fx.Node:
        while node in self._instead:
            node = self._instead[node]
        return node

    def _inputs(self, node: fx.Node) -> list[fx.Node]:
        return [self._resolved(source) for source in node.all_input_nodes]

    def _needed(self) -> set[fx.Node]:
        """The nodes that the output depends on; ``_users`` are their users."""
        output = self._nodes[-1]
        waiting, found = [output], {output}
        while waiting:
            node = waiting.pop()
            for source in self._inputs(node):
                self._users.setdefault(source, set()).add(node)
                if source not in found:
                    found.add(source)
                    waiting.append(source)
        return found

    @staticmethod
    def _stack(node: fx.Node) -> list[tuple[str, str]]:
        """Key and path of each module whose call the node is in, outermost first, without the one it calls."""
        stack = [(key, str(path)) for key, (path, _) in node.meta.get("nn_module_stack", {}).items()]
        return stack[:-1] if node.op == "call_module" and stack and stack[-1][1] == str(node.target) else stack

    @staticmethod
    def _enter(opened: list[tuple[str, _Scope]], stack: list[tuple[str, str]]) -> list[tuple[str, _Scope]]:
        """The open scopes for a node: those that it shares with the node before it, and new ones."""
        stack = [item for item in stack if item[1]]
        kept = 1
        while kept < len(opened) and kept <= len(stack) and opened[kept][0] == stack[kept - 1][0]:
            kept += 1
        opened = opened[:kept]
        for key, path in stack[kept - 1 :]:
            scope = _Scope(path)
            opened[-1][1].items.append(scope)
            opened = [*opened, (key, scope)]
        return opened

    def _block(self, scope: _Scope, name: str = "") -> Block:
        module = self._model.get_submodule(scope.path) if scope.path else self._model
        kind = type_before_parametrizations(module)
        block = Block(name or _class_name(kind, scope.path), scope.path, kind is nn.Sequential)
        inside = scope.nodes()
        within = set(inside)
        writer = _Writer(self, block, scope.path)
        if scope.path:
            for source in (source for node in inside for source in self._inputs(node)):
                if source not in within and source.op != "get_attr":
                    writer.takes(source)
        else:
            for placeholder in (node for node in self._nodes if node.op == "placeholder" and node in self._live):
                writer.takes(placeholder)
                writer.round_(placeholder)
        for item in scope.items:
            writer.add(item)
        leaving = [node for node in inside if self._users.get(node, set()) - within]
        if not scope.path:
            leaving = self._inputs(self._nodes[-1])
        block.outputs = [writer.operand(node) for node in leaving]
        return block


class _Writer:
    """Fills one block."""

    def __init__(self, reader: _Reader, block: Block, path: str) -> None:
        self._reader, self._block, self._path = reader, block, path
        self._values: dict[fx.Node, Operand] = {}
        #: Sizes, which are written where they are used.
        self._sizes: set[fx.Node] = set()
        self._children: dict[str, str] = {}

    def takes(self, node: fx.Node) -> None:
        """Make the value of a node an input of the block."""
        if node not in self._values:
            self._values[node] = value = Value()
            self._block.inputs.append(value)

    def operand(self, node: fx.Node) -> Operand:
        """The value or parameter that a node stands for."""
        node = self._reader._resolved(node)
        if node.op == "get_attr" and node not in self._values:
            owner, _, name = str(node.target).rpartition(".")
            tensor = getattr(self._reader._model.get_submodule(owner), name)
            if not isinstance(tensor, Tensor):
                raise ExportError(f"the attribute {node.target} is a {type(tensor).__name__}, not a tensor")
            child = self._add(str(node.target), Parameter(tensor.detach(), isinstance(tensor, nn.Parameter)))
            self._values[node] = Attribute(child)
        if node in self._sizes and node not in self._values:
            self._evaluate(node)
        return self._values[node]

    def add(self, item: fx.Node | _Scope) -> None:
        """Append a node, or the call of a module."""
        if isinstance(item, fx.Node):
            self._node(item)
            return
        reader = self._reader
        block = reader._block(item)
        inside = item.nodes()
        within = set(inside)
        sources = dict.fromkeys(
            source
            for node in inside
            for source in reader._inputs(node)
            if source not in within and source.op != "get_attr"
        )
        leaving = [node for node in inside if reader._users.get(node, set()) - within]
        child = self._add(item.path, block)
        outputs = tuple(Value() for _ in leaving)
        self._block.body.append(Statement(outputs, tuple(self.operand(node) for node in sources), child))
        self._values.update(zip(leaving, outputs, strict=True))

    def round_(self, node: fx.Node) -> None:
        """Round the value of a node to 8 bits, if the file does."""
        steps = self._reader._known.steps.get(node)
        if steps is not None:
            child = self._add(f"{self._path}.quantize".lstrip("."), quantize_layer(steps))
            self._call(node, child, (self.operand(node),))

    def _node(self, node: fx.Node) -> None:
        reader = self._reader
        if node.op == "call_module":
            module = cast(nn.Module, reader._module(node))
            operands = tuple(self.operand(source) for source in node.all_input_nodes)
            for layer in _layers(module, node, reader._known):
                if isinstance(layer, Block) and len(layer.inputs) != len(operands):
                    raise ExportError(
                        f"{node.target} ({type(module).__name__}) does not use all of its inputs; use "
                        "all of them, or leave this format out"
                    )
                self._call(node, self._add(str(node.target), layer), operands)
                operands = (self._values[node],)
        else:
            if _is_size(node):
                self._sizes.add(node)
                return
            self._evaluate(node)
        self.round_(node)

    def _evaluate(self, node: fx.Node) -> None:
        """Append a line that computes the value of a call of a function or method."""
        inputs: list[Operand] = []
        numbers: list[tuple[str, Any]] = []

        def text(source: fx.Node) -> str:
            source = self._reader._resolved(source)
            if source in self._sizes and source not in self._values:
                return expression(source, text, number)
            operand = self.operand(source)
            if operand not in inputs:
                inputs.append(operand)
            return f"{{{inputs.index(operand)}}}"

        def number(value: Any, name: str) -> str:
            numbers.append((name, value))
            return f"{{c{len(numbers) - 1}}}"

        written = expression(node, text, number)
        self._values[node] = value = Value()
        self._block.body.append(Statement((value,), tuple(inputs), "", written, tuple(numbers)))

    def _call(self, node: fx.Node, child: str, operands: tuple[Operand, ...]) -> None:
        value = Value()
        self._block.body.append(Statement((value,), operands, child))
        self._values[node] = value

    def _add(self, path: str, child: Child) -> str:
        """Add a child under the name that it has in the network; an equal one of this name is used again."""
        prefix = f"{self._path}."
        relative = path.removeprefix(prefix) if path.startswith(prefix) else path
        name = _identifier(relative)
        number = 1
        while (found := self._block.children.get(_numbered(name, number))) is not None:
            if _same(found, child):
                return _numbered(name, number)
            number += 1
        self._block.children[_numbered(name, number)] = child
        return _numbered(name, number)


def _is_size(node: fx.Node) -> bool:
    """Whether the value of a node is the shape of a tensor, or a number that is computed from shapes."""
    if node.target is getattr:
        return node.args[1] == "shape"
    if node.op == "call_method":
        return node.target == "size"
    return is_operator(node.target) and all(map(_is_size, node.all_input_nodes)) and bool(node.all_input_nodes)


def _layers(module: nn.Module, node: fx.Node, known: _Known) -> list[Child]:
    """The modules that compute a call of a module."""
    op = known.op(node)
    try:
        if op is not None and node in known.shipped and "weight" in known.shipped[node]:
            return list(weighted_layers(op, known.info[node].call, known.shipped[node]))
        if not is_torch(module):
            return [_traced(module, str(node.target), node)]
        if node.kwargs or not all(isinstance(item, fx.Node) for item in node.args):
            raise ExportError("it is called with arguments that are not tensors")
        return [torch_layer(module)]
    except ExportError as error:
        raise ExportError(f"{node.target} ({type(module).__name__}): {error}") from error


def _traced(module: nn.Module, path: str, node: fx.Node) -> Block:
    """A module that is not torch's, from what its ``forward`` calls.

    Raises:
        ExportError: its ``forward`` can't be traced.
    """
    try:
        with torch.no_grad():
            tracer = _Tracer()
            tracer.traced_func_name = "plain_forward" if hasattr(module, "plain_forward") else "forward"
            graph = tracer.trace(module, concrete_args=_constants(module, node))
            follow_in_place(graph, module)
    except Exception as error:  # a forward may do anything with its inputs
        raise ExportError(f"its forward can't be traced: {error}") from error
    block = _Reader(module, graph, _Known()).network(_class_name(type_before_parametrizations(module), path))
    block.path = path
    return block


def _constants(module: nn.Module, node: fx.Node) -> dict[str, Any]:
    """The arguments of a call that are not tensors, including defaults."""
    bound = inspect.signature(module.forward).bind(*node.args, **node.kwargs)
    bound.apply_defaults()
    return {name: value for name, value in bound.arguments.items() if not isinstance(value, fx.Node)}


class _Tracer(fx.Tracer):
    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        return is_torch(m) and not isinstance(m, nn.Sequential)

    def to_bool(self, obj: fx.Proxy) -> bool:
        """Answer questions about memory formats, which change no values: tensors are contiguous."""
        if obj.node.op == "call_method" and obj.node.target == "is_contiguous":
            return "memory_format" not in obj.node.kwargs
        return super().to_bool(obj)


def _same(first: Child, second: Child) -> bool:
    if isinstance(first, Chain) or structure(first) != structure(second):
        return False
    if isinstance(first, Layer) and isinstance(second, Layer) and first.arguments != second.arguments:
        return False
    tensors = zip(state(first), state(second), strict=True)
    return all(torch.equal(one, other) for (_, one), (_, other) in tensors)


def _class_name(kind: type[nn.Module], path: str) -> str:
    """The name of a module's class; for an ``nn.Sequential``, a name from its place in the network."""
    if kind is not nn.Sequential:
        return re.sub(r"\W", "", kind.__name__).lstrip("_") or "Module"
    words = [word for word in re.split(r"[._\d]+", path) if word]
    return words[-1].title() if words else "Block"


def _identifier(name: str) -> str:
    """A dotted name whose parts are identifiers or, at the end, a number."""
    parts = [re.sub(r"\W", "_", part) for part in name.split(".")]
    *others, last = parts
    if last.isdigit() and others:
        return f"{_joined(others)}.{last}"
    return _joined(parts)


def _joined(parts: list[str]) -> str:
    name = "_".join(parts)
    name = f"layer{name}" if name[:1].isdigit() else name
    return f"{name}_" if keyword.iskeyword(name) else name


def _numbered(name: str, number: int) -> str:
    if number == 1:
        return name
    head, dot, last = name.rpartition(".")
    return f"{head}_{last}_{number}" if dot else f"{name}_{number}"
