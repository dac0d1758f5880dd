"""A network as a graph: its calls with shapes, its identity, its layers and their costs."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import fx, nn

from nas.errors import SpaceError
from nas.ops import Call, Shape, op_of_module, op_of_target


@dataclass(frozen=True)
class TracedGraph:
    """The calls of a network in order, with the shapes of everything between them."""

    module: fx.GraphModule
    input: fx.Node
    output: fx.Node
    calls: tuple[Call, ...]

    def path(self, call: Call) -> str:
        """Module path of a call; empty for functions and methods."""
        return str(call.node.target) if call.module is not None else ""


class _Tracer(fx.Tracer):
    """Modules an op covers are leaves, as are torch's own."""

    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        return op_of_module(m) is not None or super().is_leaf_module(m, module_qualified_name)


class _Shapes(fx.Interpreter):
    """Runs a graph once and notes the shape of every tensor."""

    def __init__(self, module: fx.GraphModule) -> None:
        super().__init__(module, garbage_collect_values=True)
        self.shapes: dict[fx.Node, Shape] = {}

    def run_node(self, n: fx.Node) -> Any:
        result = super().run_node(n)
        if isinstance(result, torch.Tensor):
            self.shapes[n] = tuple(result.shape)
        return result


def trace(model: nn.Module, input_shape: tuple[int, ...]) -> TracedGraph:
    """Trace a network in the state it is deployed in.

    Args:
        model: with weights, or on the meta device; its mode is left as it was.
        input_shape: batch included.

    Raises:
        SpaceError: it takes other than one input, or its control flow depends on data.
    """
    training = model.training
    model.eval()
    try:
        module = fx.GraphModule(model, _Tracer().trace(model))
        shapes = _run(module, model, input_shape)
    except (fx.proxy.TraceError, TypeError) as error:
        raise SpaceError(f"{type(model).__name__} can't be traced: {error}") from error
    finally:
        model.train(training)
    module.graph.eliminate_dead_code()
    inputs = [node for node in module.graph.nodes if node.op == "placeholder"]
    if len(inputs) != 1:
        raise SpaceError(f"{type(model).__name__} takes {len(inputs)} inputs; a network takes one")
    calls = tuple(
        _call(node, module, shapes)
        for node in module.graph.nodes
        if node.op in ("call_module", "call_function", "call_method") and node in shapes
    )
    return TracedGraph(module, inputs[0], next(iter(reversed(module.graph.nodes))), calls)


def graph_identity(model: nn.Module, input_shape: tuple[int, ...], bits: Mapping[str, int]) -> str:
    """Hash of what a network computes, weights aside: equal for two ways to choose one network.

    Slot names do not enter, nor do identities; shapes, attributes, connections and bits do.
    """
    graph = trace(model, input_shape)
    names: dict[fx.Node, int] = {graph.input: 0}
    rows: list[Any] = [list(input_shape)]
    for call in graph.calls:
        attributes = _attributes(call)
        inputs = [names[node] for node in call.node.all_input_nodes if node in names]
        if _is_identity(call):
            names[call.node] = inputs[0]
            continue
        names[call.node] = len(rows)
        rows.append([attributes, inputs, list(call.output_shape), bits.get(graph.path(call), 32)])
    rows.append([names.get(node, -1) for node in graph.output.all_input_nodes])
    text = json.dumps(rows, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()


def layers(
    model: nn.Module, input_shape: tuple[int, ...], bits: Mapping[str, int] | None = None
) -> list[dict[str, Any]]:
    """``{"name", "op", "output_shape", "parameters", "macs", "bits"}`` of every call, identities left out.

    Parameters are counted once, at the first call of their module.
    """
    graph = trace(model, input_shape)
    bits = bits or {}
    seen: set[str] = set()
    rows = []
    for call in graph.calls:
        if _is_identity(call):
            continue
        path = graph.path(call)
        parameters = 0
        if call.module is not None and path not in seen:
            seen.add(path)
            parameters = count_parameters(call.module)
        rows.append(
            {
                "name": path or call.node.name,
                "op": _op_name(call),
                "output_shape": list(call.output_shape),
                "parameters": parameters,
                "macs": _macs(call),
                "bits": bits.get(path, 32),
            }
        )
    return rows


def count_parameters(model: nn.Module) -> int:
    """Trainable and frozen parameters, buffers aside."""
    return sum(parameter.numel() for parameter in model.parameters())


def count_macs(model: nn.Module, input_shape: tuple[int, ...]) -> int:
    """Multiply-accumulates of one run at ``input_shape`` (1 MAC = 2 FLOPs)."""
    return sum(_macs(call) for call in trace(model, input_shape).calls)


def _run(module: fx.GraphModule, model: nn.Module, input_shape: tuple[int, ...]) -> dict[fx.Node, Shape]:
    some = next(model.parameters(), None)
    device = some.device if some is not None else torch.device("meta")
    interpreter = _Shapes(module)
    with torch.no_grad():
        interpreter.run(torch.zeros(input_shape, device=device))
    return interpreter.shapes


def _call(node: fx.Node, module: fx.GraphModule, shapes: Mapping[fx.Node, Shape]) -> Call:
    inputs = tuple(shapes[source] for source in node.all_input_nodes if source in shapes)
    leaf = module.get_submodule(str(node.target)) if node.op == "call_module" else None
    return Call(node, leaf, inputs, shapes[node])


def _macs(call: Call) -> int:
    op = op_of_module(call.module) if call.module is not None else op_of_target(call.node.target)
    return op.macs(call) if op is not None else 0


def _attributes(call: Call) -> Any:
    """What a call is, besides its inputs and shapes."""
    if call.module is not None:
        op = op_of_module(call.module)
        if op is not None:
            return [type(op).__name__, op.attributes(call)]
        shapes = [[name, list(value.shape)] for name, value in call.module.named_parameters()]
        return [type(call.module).__qualname__, repr(call.module), shapes]
    op = op_of_target(call.node.target)
    if op is not None:
        return [type(op).__name__, op.attributes(call)]
    constants = [repr(item) for item in (*call.node.args, *call.node.kwargs.items()) if not isinstance(item, fx.Node)]
    return [str(call.node.target), constants]


def _is_identity(call: Call) -> bool:
    return isinstance(call.module, nn.Identity | nn.Dropout | nn.Dropout2d) and not getattr(call.module, "p", 0.0)


def _op_name(call: Call) -> str:
    if call.module is not None:
        return type(call.module).__name__
    target = call.node.target
    return target if isinstance(target, str) else target.__name__
