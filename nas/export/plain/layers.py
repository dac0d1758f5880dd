"""Modules of torch as text: the class and the arguments that make them, and their tensors."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.nn.utils.parametrize import type_before_parametrizations

from nas.errors import ExportError
from nas.export.onnx_graph import Integers
from nas.export.onnx_graph import Parameter as ShippedParameter
from nas.export.plain.tree import Layer
from nas.ops import Call, Op
from nas.ops.conv import padding
from nas.quantization.steps import Steps

#: Arguments that do not change what a module computes in evaluation.
_WITHOUT_EFFECT = ("device", "dtype", "inplace", "momentum")


def torch_layer(module: nn.Module) -> Layer:
    """A module of torch.

    Raises:
        ExportError: an argument of its constructor is not among its attributes.
    """
    kind = type_before_parametrizations(module)
    found = _constructor(module, kind)
    tensors = dict(module.named_parameters()) | dict(module.named_buffers())
    kept = {name: tensor for name, tensor in tensors.items() if name in module.state_dict()}
    return Layer(found.name, found.arguments, kept, found.defaults)


def is_torch(module: nn.Module) -> bool:
    """Whether a module's class is one of ``torch.nn``."""
    kind = type_before_parametrizations(module)
    return kind.__module__.startswith("torch.nn.") and getattr(nn, kind.__name__, None) is kind


def weighted_layers(op: Op, call: Call, shipped: Mapping[str, ShippedParameter | None]) -> list[Layer]:
    """The modules of torch that compute a call with weights, with the weights that ship.

    Raises:
        ExportError: no module of torch computes it.
    """
    module = op.plain(call) or cast(nn.Module, call.module)
    items = list(module) if isinstance(module, nn.Sequential) else [module]
    layers: list[Layer] = []
    for item in items:
        if isinstance(item, nn.Conv2d):
            top, left, bottom, right = padding(Call(call.node, item, call.input_shapes, call.output_shape))
            if (top, left) != (bottom, right):
                pads = (left, right, top, bottom)
                layers.append(Layer("nn.ZeroPad2d", {"padding": pads}, {}))
                top = left = 0
            layers.append(_with_weights("Conv2d", nn.Conv2d, item, shipped, {"padding": (top, left)}))
        elif isinstance(item, nn.Linear):
            layers.append(_with_weights("Linear", nn.Linear, item, shipped, {}))
        elif is_torch(item):
            layers.append(torch_layer(item))
        else:
            raise ExportError(f"no module of torch computes what {type(item).__name__} computes")
    return layers


def quantize_layer(steps: Steps) -> Layer:
    """The module that rounds values to 8 bits."""
    zero_point = steps.zero_point.reshape(()).to(torch.uint8)
    return Layer("Quantize", {}, {"scale": steps.scale.reshape(()), "zero_point": zero_point})


def _with_weights(
    name: str,
    kind: type[nn.Module],
    module: nn.Module,
    shipped: Mapping[str, ShippedParameter | None],
    changed: Mapping[str, Any],
) -> Layer:
    made = _constructor(module, kind)
    bias = shipped.get("bias")
    arguments = {**made.arguments, **{key: _short(value) for key, value in changed.items()}, "bias": bias is not None}
    arguments.pop("padding_mode", None)
    weight = shipped["weight"]
    tensors: dict[str, Tensor] = {}
    if isinstance(weight, Integers):
        if weight.bits != 8:
            raise ExportError(f"the plain source has no layer with weights of {weight.bits} bits")
        name = f"Int8{name}"
        column = (-1, *[1] * (weight.values.ndim - 1))
        for key, array in (("scale", weight.scale), ("zero_point", weight.zero_point)):
            tensors[key] = torch.from_numpy(array.copy()).reshape(column)
        tensors["integers"] = torch.from_numpy(weight.values)
    else:
        assert weight is not None
        tensors["weight"] = torch.from_numpy(weight)
        name = f"Half{name}" if tensors["weight"].dtype == torch.float16 else f"nn.{name}"
    if bias is not None:
        tensors["bias"] = torch.from_numpy(bias.dequantized if isinstance(bias, Integers) else bias)
    return Layer(name, arguments, tensors, made.defaults)


def _constructor(module: nn.Module, kind: type[nn.Module]) -> Layer:
    arguments, defaults = {}, {}
    for name, parameter in inspect.signature(kind).parameters.items():
        if name in _WITHOUT_EFFECT or parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD):
            continue
        value = getattr(module, name, parameter.default)
        if name == "bias" or isinstance(value, Tensor):
            value = value is not None and value is not False
        if value is parameter.empty:
            raise ExportError(f"{kind.__name__} does not keep its argument {name}")
        arguments[name] = _short(value)
        if parameter.default is not parameter.empty:
            defaults[name] = _short(parameter.default)
    return Layer(f"nn.{kind.__name__}", arguments, {}, defaults)


def _short(value: Any) -> Any:
    """``value``, or one number for a tuple of equal numbers."""
    if isinstance(value, tuple) and value and all(item == value[0] for item in value):
        return value[0]
    return value
