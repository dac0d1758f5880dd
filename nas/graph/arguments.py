"""Arguments of traced calls, renamed to torch's own names, with tensors given by position."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from functools import cache
from typing import Any

import torch
from torch import fx, nn
from torch._jit_internal import boolean_dispatched
from torch.fx.operator_schemas import _torchscript_schema_to_signature

#: numpy's names of arguments, which torch accepts as aliases of its own.
_ALIASES = {"axis": "dim", "keepdims": "keepdim", "x": "input", "a": "input", "x1": "input", "x2": "other"}


def normalize_arguments(graph: fx.Graph, model: nn.Module) -> None:
    """Rewrite the calls of a graph, so that ops find every argument where torch's documentation has it.

    Aliases are replaced by torch's names. If a tensor is given by name, it and all arguments before it become
    positional. Other keywords stay keywords.
    """
    for node in graph.nodes:
        if node.kwargs and node.op in ("call_function", "call_method", "call_module"):
            for signature in _signatures_of(node, model):
                if _fits(node, signature):
                    node.args, node.kwargs = _normalized(node, signature)
                    break


def _fits(node: fx.Node, signature: inspect.Signature) -> bool:
    try:
        signature.bind(*node.args, **_renamed(node, signature))
    except TypeError:
        return False
    return True


def _renamed(node: fx.Node, signature: inspect.Signature) -> dict[str, Any]:
    """The keywords, with an alias replaced if the signature has only torch's own name."""
    known = signature.parameters
    aliases = {name: own for name, own in _ALIASES.items() if name not in known and own in known}
    return {aliases.get(name, name): value for name, value in node.kwargs.items()}


def _normalized(node: fx.Node, signature: inspect.Signature) -> tuple[tuple[Any, ...], dict[str, Any]]:
    allowed = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    names = [name for name, item in signature.parameters.items() if item.kind in allowed]
    args, kwargs = list(node.args), _renamed(node, signature)
    tensors = [place for place, name in enumerate(names) if _holds_node(kwargs.get(name))]
    for name in names[len(args) : max(tensors, default=-1) + 1]:
        args.append(kwargs.pop(name, signature.parameters[name].default))
    return tuple(args), kwargs


def _holds_node(value: Any) -> bool:
    found: list[fx.Node] = []
    fx.node.map_arg(value, found.append)
    return bool(found)


def _signatures_of(node: fx.Node, model: nn.Module) -> Iterator[inspect.Signature]:
    if node.op == "call_module":
        yield inspect.signature(model.get_submodule(str(node.target)).forward)
    else:
        yield from _signatures(node.target)


@cache
def _signatures(target: Callable[..., Any] | str) -> tuple[inspect.Signature, ...]:
    """All signatures of a function or of a tensor method."""
    if not isinstance(target, str) and target in boolean_dispatched:
        target = boolean_dispatched[target]["if_false"]
    if inspect.isfunction(target):
        return (inspect.signature(target),)
    name = target if isinstance(target, str) else getattr(target, "__name__", "")
    schemas = torch._C._jit_get_schemas_for_operator(f"aten::{name}")
    return tuple(_torchscript_schema_to_signature(schema) for schema in schemas)
