"""Layer normalisation over the last dimensions, or over the channels of a map."""

from __future__ import annotations

import nas.torchvision_fix  # noqa: F401  isort: skip
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from timm.layers import LayerNorm, LayerNorm2d
from torch import Tensor, nn
from torch.nn import functional as F

from nas.ops import Call, Example, Input, Op, Shape

if TYPE_CHECKING:
    from nas.export.onnx_graph import OnnxGraph


class LayerNormOp(Op):
    """``nn.LayerNorm``, ``F.layer_norm``, timm's ``LayerNorm``, and its ``LayerNorm2d`` over the channels of maps.

    Maps are transposed to channels last and back: runtimes have one fused kernel, for the last dimension, and the two
    transpositions cost less than reductions over the second dimension (ONNX Runtime, 40 to 320 channels).
    """

    targets = (nn.LayerNorm, LayerNorm, LayerNorm2d, F.layer_norm)

    def shape(self, call: Call) -> Shape | None:
        """The shape of the input."""
        shape, sizes = call.input_shapes[0], _sizes(call)
        normalised = shape[1:2] if _of_channels(call) else shape[-len(sizes) :]
        return shape if normalised == sizes and (len(shape) == 4 or not _of_channels(call)) else None

    def emit(self, graph: OnnxGraph, call: Call, inputs: Sequence[str]) -> str:
        """One ``LayerNormalization``."""
        settings, value = self.attributes(call), inputs[0]
        operands = [_operand(graph, call, inputs, name) for name in ("weight", "bias")]
        if operands[0] is None:
            operands[0] = graph.constant(np.ones(_sizes(call), dtype=np.float32))
        given = [operand for operand in operands if operand is not None]
        if settings["channels"]:
            value = graph.node("Transpose", [value], perm=[0, 2, 3, 1])
        rule = {"axis": -len(settings["sizes"]), "epsilon": settings["eps"]}
        value = graph.node("LayerNormalization", [value, *given], **rule)
        return graph.node("Transpose", [value], perm=[0, 3, 1, 2]) if settings["channels"] else value

    def attributes(self, call: Call) -> dict[str, Any]:
        """See ``Op.attributes``; ``channels``: over those of a map."""
        eps = call.module.eps if isinstance(call.module, nn.LayerNorm) else call.argument(4, "eps", 1e-5)
        affine = [_tensor(call, name) is not None for name in ("weight", "bias")]
        return {"sizes": list(_sizes(call)), "eps": eps, "affine": affine, "channels": _of_channels(call)}

    def examples(self) -> Sequence[Example]:
        """See ``Op.examples``."""
        last: dict[str, nn.Module] = {
            "tokens": _shaken(nn.LayerNorm(4)),
            "timm": _shaken(LayerNorm(4, eps=0.1)),
            "plain": nn.LayerNorm(4, elementwise_affine=False),
            "without_bias": _shaken(nn.LayerNorm(4, bias=False)),
            "two_dimensions": _shaken(nn.LayerNorm((3, 4))),
            "function": _Function(weight=True),
            "plain_function": _Function(weight=False),
        }
        models: dict[str, nn.Module] = {name: _ChannelsLast(norm) for name, norm in last.items()}
        models |= {"map": nn.Sequential(_shaken(LayerNorm2d(4)))}
        return [Example(name, model, (2, 4, 3, 5)) for name, model in models.items()]


class _ChannelsLast(nn.Module):
    def __init__(self, norm: nn.Module) -> None:
        super().__init__()
        self.norm = norm

    def forward(self, inputs: Tensor) -> Tensor:
        """``(N, C, H, W)`` → ``(N, W, H, C)``."""
        return self.norm(inputs.transpose(1, 3))  # type: ignore[no-any-return]


class _Function(nn.Module):
    def __init__(self, *, weight: bool) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.linspace(0.5, 1.5, 4)) if weight else None

    def forward(self, inputs: Tensor) -> Tensor:
        return F.layer_norm(inputs, (4,), self.weight, eps=1e-3)


def _sizes(call: Call) -> tuple[int, ...]:
    if isinstance(call.module, nn.LayerNorm):
        return tuple(call.module.normalized_shape)
    return tuple(call.argument(1, "normalized_shape"))


def _of_channels(call: Call) -> bool:
    return isinstance(call.module, LayerNorm2d)


def _tensor(call: Call, name: str) -> Any:
    if call.module is not None:
        return getattr(call.module, name)
    return call.argument({"weight": 2, "bias": 3}[name], name)


def _operand(graph: OnnxGraph, call: Call, inputs: Sequence[str], name: str) -> str | None:
    tensor = _tensor(call, name)
    if isinstance(tensor, Input):
        return inputs[tensor.index]
    return None if tensor is None else graph.parameter(call, name)


def _shaken(norm: nn.Module) -> nn.Module:
    """The module with weights that are not neutral."""
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in norm.parameters():
            parameter.copy_(torch.rand(parameter.shape, generator=generator) + 0.5)
    return norm
