"""Identity, layers and costs of a network, taken from its graph and not from the choices that made it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from torch import Tensor, nn
from torch.nn.utils.parametrize import type_before_parametrizations

from nas.graph.tracing import TracedGraph, TracedNode, trace
from nas.ops import Shape

__all__ = [
    "TracedGraph",
    "TracedNode",
    "count_macs",
    "count_parameters",
    "graph_identity",
    "identity_of",
    "layers",
    "layers_of",
    "trace",
]


def graph_identity(model: nn.Module, input_shape: Shape, bits: Mapping[str, int]) -> str:
    """Hash of the network as it is trained and deployed; networks with equal hashes are the same experiment.

    The hash depends on ops, attributes, shapes, shared weights, bits and ``policy_annotations``. It does not depend on
    names, weights, and nodes without effect. ``bits`` is module path → bits, 32 where missing. A module can have
    ``policy_annotations``, a dict of JSON values that says what a policy has put on it besides bits.

    Raises:
        SpaceError: the network can't be traced with this input.
    """
    return identity_of(trace(model, input_shape), bits)


def identity_of(graph: TracedGraph, bits: Mapping[str, int]) -> str:
    """``graph_identity`` of a graph that is traced already."""
    effective = _effective_inputs(graph)
    described = [_describe(node, bits) for node in graph.nodes]
    inputs = _ordered_inputs(graph, described, effective)
    outputs = [effective[output] for output in graph.outputs]
    lines, number = [], dict[int, int]()
    modules: dict[int, int] = {}
    users: dict[int, tuple[int, int]] = {}
    for index in _depth_first(outputs, inputs):
        number[index] = len(number)
        module = graph.nodes[index].call.module
        # Two calls of one module share their weights, which makes another network than two modules.
        has_weights = module is not None and next(iter(module.parameters()), None) is not None
        shared = modules.setdefault(id(module), len(modules)) if has_weights else -1
        tied = _tied(graph, index, number[index], users)
        lines.append(f"{described[index]} {[number[source] for source in inputs[index]]} {shared}{tied}")
    lines.append(str([number[output] for output in outputs]))
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()


def _tied(graph: TracedGraph, index: int, number: int, users: dict[int, tuple[int, int]]) -> str:
    """The numbers of earlier nodes of other modules that share a parameter with this node; adds the node to ``users``.

    ``users`` is ``id`` of a parameter → ``id`` of the module and number of the first node that uses it.
    """
    node, found = graph.nodes[index], set[int]()
    owner = id(node.call.module) if node.call.module is not None else -1
    for parameter in own_parameters(graph, index):
        module, first = users.setdefault(id(parameter), (owner, number))
        if module != owner:
            found.add(first)
    return f" {sorted(found)}" if found else ""


def layers(model: nn.Module, input_shape: Shape, bits: Mapping[str, int]) -> list[dict[str, Any]]:
    """One ``{"name", "op", "output_shape", "parameters", "macs", "bits"}`` for each layer, as JSON values.

    Shapes include the batch. A shared parameter counts in the first layer that uses it. ``bits`` are those given for
    the module, or 32.
    """
    return layers_of(trace(model, input_shape), bits)


def layers_of(graph: TracedGraph, bits: Mapping[str, int]) -> list[dict[str, Any]]:
    """``layers`` of a graph that is traced already."""
    counted: set[int] = set()
    table = []
    effective = _effective_inputs(graph)
    for node in graph.nodes:
        if node.kind != "call" or _is_transparent(node):
            continue
        parameters = [parameter for parameter in _parameters(graph, node, effective) if id(parameter) not in counted]
        counted.update(id(parameter) for parameter in parameters)
        table.append(
            {
                "name": node.name,
                "op": node.op_name,
                "output_shape": list(node.call.output_shape),
                "parameters": sum(parameter.numel() for parameter in parameters),
                "macs": node.macs,
                "bits": bits.get(node.path, 32),
            }
        )
    return table


def count_parameters(model: nn.Module) -> int:
    """The number of parameters, trainable or not, without buffers; a shared parameter counts once.

    A module can name parameters and submodules that do not ship in ``training_only``, such as scores and branches that
    are merged. They do not count.
    """
    return sum(parameter.numel() for parameter in {id(item): item for item in _shipping(model)}.values())


def count_macs(model: nn.Module, input_shape: Shape) -> int:
    """Multiply-accumulates of one forward pass of the whole batch (1 MAC = 2 FLOPs).

    Raises:
        SpaceError: the network can't be traced with this input.
    """
    return sum(node.macs for node in trace(model, input_shape).nodes)


def _is_transparent(node: TracedNode) -> bool:
    return node.op is not None and node.op.transparent(node.call)


def _effective_inputs(graph: TracedGraph) -> list[int]:
    """For each node the one that computes its value: the node itself, or the input of a node without effect."""
    effective: list[int] = []
    for index, node in enumerate(graph.nodes):
        effective.append(effective[node.inputs[0]] if _is_transparent(node) else index)
    return effective


def _describe(node: TracedNode, bits: Mapping[str, int]) -> str:
    """Everything about one node except its inputs, as text."""
    description: dict[str, Any] = {"kind": node.kind, "shape": node.call.output_shape}
    if node.kind == "call":
        description["op"] = node.op_name
        description["attributes"] = node.op.attributes(node.call) if node.op is not None else _opaque(node)
    if bits.get(node.path, 32) != 32:
        description["bits"] = bits[node.path]
    annotations = getattr(node.call.module, "policy_annotations", None)
    if annotations:
        description["policies"] = annotations
    return json.dumps(description, sort_keys=True, default=str)


def _opaque(node: TracedNode) -> dict[str, Any]:
    """Description of a node without op: class, settings and parameter shapes, or function and arguments."""
    module = node.call.module
    if module is None:
        target = node.call.node.target
        name = f"{getattr(target, '__module__', '')}.{getattr(target, '__qualname__', target)}"
        return {
            "function": name,
            "args": repr(node.call.args),
            "kwargs": repr(sorted(node.call.kwargs.items())),
        }
    kind = type_before_parametrizations(module)
    return {
        "class": f"{kind.__module__}.{kind.__qualname__}",
        "repr": repr(module),
        "settings": [_settings(part) for part in module.modules()],
        "tensors": sorted((name, list(tensor.shape)) for name, tensor in module.state_dict().items()),
    }


def _settings(module: nn.Module) -> dict[str, str]:
    """Plain attributes of a module, which its ``repr`` may leave out, and the names of functions that it stores."""
    found = {}
    for name, value in vars(module).items():
        if name.startswith("_") or name == "training":
            continue
        if hasattr(value, "__qualname__"):
            found[name] = f"{value.__module__}.{value.__qualname__}"
        elif isinstance(value, bool | int | float | str | tuple | list | None):
            found[name] = repr(value)
    return found


def _ordered_inputs(graph: TracedGraph, described: Sequence[str], effective: Sequence[int]) -> list[list[int]]:
    """The effective inputs of each node, sorted by what computes them if their order has no effect."""
    digests: list[str] = []
    ordered: list[list[int]] = []
    for index, node in enumerate(graph.nodes):
        inputs = [effective[source] for source in node.inputs]
        if node.op is not None and node.op.commutes(node.call):
            inputs.sort(key=lambda source: digests[source])
        text = described[index] + "".join(digests[source] for source in inputs)
        digests.append(hashlib.sha256(text.encode()).hexdigest())
        ordered.append(inputs)
    return ordered


def _depth_first(outputs: Sequence[int], inputs: Sequence[Sequence[int]]) -> list[int]:
    """The nodes that the outputs depend on, inputs before users, in an order given by the structure only."""
    order: list[int] = []
    seen: set[int] = set()
    stack = [(output, False) for output in reversed(outputs)]
    while stack:
        index, expanded = stack.pop()
        if expanded:
            order.append(index)
        elif index not in seen:
            seen.add(index)
            stack.append((index, True))
            stack.extend((source, False) for source in reversed(inputs[index]))
    return order


def _shipping(module: nn.Module) -> Iterator[nn.Parameter]:
    """Parameters of a module without those of ``training_only``; a shared parameter is repeated."""
    training_only = getattr(module, "training_only", ())
    for name, parameter in module.named_parameters(recurse=False):
        if name not in training_only:
            yield parameter
    for name, child in module.named_children():
        if name not in training_only:
            yield from _shipping(child)


def own_parameters(graph: TracedGraph, index: int) -> list[Tensor]:
    """The parameters of a node's module, or the tensor that an attribute node stands for."""
    node = graph.nodes[index]
    if node.kind == "attribute":
        return [graph.tensor(index)]
    return list(node.call.module.parameters()) if node.call.module is not None else []


def _parameters(graph: TracedGraph, node: TracedNode, effective: Sequence[int]) -> list[nn.Parameter]:
    """The parameters of the node's module, and parameters that are arguments of the call."""
    given = [effective[source] for source in node.inputs if graph.nodes[effective[source]].kind == "attribute"]
    found = [tensor for tensor in map(graph.tensor, given) if isinstance(tensor, nn.Parameter)]
    return found + (list(_shipping(node.call.module)) if node.call.module is not None else [])
