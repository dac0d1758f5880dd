"""Translates an ONNX graph to straight-line torch code."""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import onnx
import torch
from onnx import defs, numpy_helper
from onnx.inliner import inline_selected_functions
from torch import Tensor, fx, nn

from nas.errors import MeasureError
from nas.latency.runtimes.torch.fusions import fuse
from nas.latency.runtimes.torch.nodes import TRANSLATIONS

#: The value of a name in the file: a node that each run computes, or a constant.
Value = fx.Node | Tensor

#: Names of ONNX's own domain.
_STANDARD = ("", "ai.onnx")
#: Largest depth of nested definitions of ops by other ops.
_LEVELS = 4


class TorchGraph:
    """A torch graph under construction.

    Calls on constants are evaluated at once. Other calls are evaluated on the meta device to find their shapes, so that
    values computed from shapes are constants too.
    """

    def __init__(self, model: onnx.ModelProto, inputs: Mapping[str, Tensor]) -> None:
        """Translate every node.

        Args:
            model: an ONNX model with opset 13 or newer.
            inputs: name → a tensor of the input's shape and type.

        Raises:
            MeasureError: a node has no translation, or attributes that its translation does not support.
        """
        self._graph = fx.Graph()
        self._constants = nn.Module()
        self._num_constants = 0
        self._values: dict[str, Value] = {
            item.name: torch.from_numpy(numpy_helper.to_array(item).copy()) for item in model.graph.initializer
        }
        for name, tensor in inputs.items():
            node = self._graph.placeholder(f"input{len(self._graph.nodes)}")
            node.meta["value"] = tensor.to("meta")
            self._values[name] = node
        for node in _spelled_out(model).graph.node:
            if not _is_known(node):
                name = ":".join(filter(None, (node.domain, node.op_type)))
                raise MeasureError(f"op {name} has no translation to torch; run this file in another runtime")
            self._translate(node, TRANSLATIONS[node.op_type])
        self._graph.output(tuple(self._tensor(self._values[item.name]) for item in model.graph.output))

    def module(self) -> fx.GraphModule:
        """The finished module; its output is a tuple."""
        return fuse(fx.GraphModule(self._constants, self._graph))

    def call(self, function: Callable[..., Any], *arguments: Any, **settings: Any) -> Any:
        """Apply a function: evaluated now if all its arguments are constants, else added to the graph."""
        values = [item for item in _flat(arguments) if isinstance(item, fx.Node)]
        if not values:
            return function(*arguments, **settings)
        meta = fx.node.map_aggregate(arguments, _meta)
        placed = fx.node.map_aggregate(arguments, self._placed)
        node = self._graph.call_function(function, placed, settings)
        node.meta["value"] = function(*meta, **settings)
        return node

    def parts(self, value: Any, count: int) -> list[Any]:
        """The items of the value that a function with several results returned."""
        if not isinstance(value, fx.Node):
            return list(value)
        return [self.call(operator.getitem, value, index) for index in range(count)]

    def shape(self, value: Value) -> tuple[int, ...]:
        """Shape of a value or constant."""
        return tuple(value.meta["value"].shape if isinstance(value, fx.Node) else value.shape)

    def dtype(self, value: Value) -> torch.dtype:
        """Element type of a value or constant."""
        return value.meta["value"].dtype if isinstance(value, fx.Node) else value.dtype

    def numbers(self, value: Value | None) -> list[Any]:
        """The elements of a constant; empty for None.

        Raises:
            MeasureError: the value is computed from the inputs.
        """
        if value is None:
            return []
        if isinstance(value, fx.Node):
            raise MeasureError(f"{value.name} is computed from the input, but must be known when the file is opened")
        return list(value.flatten().tolist())

    def _translate(self, node: onnx.NodeProto, translation: Callable[..., Any]) -> None:
        attributes = {item.name: _attribute(item) for item in node.attribute}
        inputs = [self._values[name] if name else None for name in node.input]
        try:
            if node.op_type == "Split":  # the only op whose number of outputs is not an attribute
                attributes["count"] = len(node.output)
            found = translation(self, attributes, *inputs)
        except MeasureError:
            raise
        except Exception as error:  # attributes or shapes that a translation does not support
            raise MeasureError(f"op {node.op_type} ({node.name}) can't be translated to torch: {error}") from error
        outputs = found if isinstance(found, list) else [found]
        if further := [name for name in node.output[len(outputs) :] if name]:
            raise MeasureError(f"op {node.op_type} ({node.name}): its output {further[0]} has no translation to torch")
        self._values.update(zip(node.output, outputs, strict=False))

    def _placed(self, item: Any) -> Any:
        return self._tensor(item) if isinstance(item, Tensor) else item

    def _tensor(self, value: Value) -> fx.Node:
        """A value as a node; a constant becomes a buffer of the module."""
        if isinstance(value, fx.Node):
            return value
        name = f"constant{self._num_constants}"
        self._num_constants += 1
        self._constants.register_buffer(name, value)
        node = self._graph.get_attr(name)
        node.meta["value"] = value.to("meta")
        return node


def _is_known(node: onnx.NodeProto) -> bool:
    return node.op_type in TRANSLATIONS and node.domain in _STANDARD


def _spelled_out(model: onnx.ModelProto) -> onnx.ModelProto:
    """The model with nodes that have no translation replaced by their ONNX definition, where there is one."""
    for _ in range(_LEVELS):
        unknown = {(node.domain, node.op_type) for node in model.graph.node if not _is_known(node)}
        defined = [name for name in unknown if _is_defined(*name, model)]
        if not defined:
            break
        _write_defaults(model)
        try:
            model = inline_selected_functions(model, defined, inline_schema_functions=True)
        except RuntimeError:  # the inliner can't find the types of a definition
            break
    return model


def _is_defined(domain: str, op_type: str, model: onnx.ModelProto) -> bool:
    if domain not in _STANDARD or not defs.has(op_type, _opset(model)):
        return False
    schema = defs.get_schema(op_type, _opset(model))
    return bool(schema.has_function or schema.has_context_dependent_function)


def _write_defaults(model: onnx.ModelProto) -> None:
    """Write default attributes into nodes that leave them out: ONNX's inliner does not fill in defaults."""
    for node in model.graph.node:
        if not _is_known(node) and _is_defined(node.domain, node.op_type, model):
            given = {item.name for item in node.attribute}
            for name, attribute in defs.get_schema(node.op_type, _opset(model)).attributes.items():
                if name not in given and attribute.default_value.name:
                    node.attribute.append(attribute.default_value)


def _opset(model: onnx.ModelProto) -> int:
    return max(int(item.version) for item in model.opset_import if item.domain in _STANDARD)


def _meta(item: Any) -> Any:
    return item.meta["value"] if isinstance(item, fx.Node) else item.to("meta") if isinstance(item, Tensor) else item


def _flat(items: Sequence[Any]) -> list[Any]:
    return [part for item in items for part in (_flat(item) if isinstance(item, list | tuple) else [item])]


def _attribute(attribute: Any) -> Any:
    value = onnx.helper.get_attribute_value(attribute)
    if isinstance(value, onnx.TensorProto):
        return torch.from_numpy(numpy_helper.to_array(value).copy())
    return value.decode() if isinstance(value, bytes) else list(value) if hasattr(value, "__len__") else value
