"""timm's learned scale of each channel, folded into the layer before it if there is one."""

from __future__ import annotations

import nas.torchvision_fix  # noqa: F401  isort: skip
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, cast

import torch
from timm.layers import LayerScale, LayerScale2d
from torch import Tensor, nn

from nas.ops import Affine, Call, Example, Op, Shape

if TYPE_CHECKING:
    from nas.export.onnx_graph import OnnxGraph


class LayerScaleOp(Op):
    """timm's ``LayerScale2d`` of maps, and ``LayerScale`` of tensors with channels last."""

    targets = (LayerScale2d, LayerScale)

    def shape(self, call: Call) -> Shape | None:
        """The shape of the input."""
        shape = call.input_shapes[0]
        return shape if shape[_axis(call)] == len(_scale(call)) else None

    def affine(self, call: Call, constants: Sequence[Tensor | None]) -> Affine:
        """See ``Op.affine``."""
        scale = _scale(call).detach().float().cpu()
        return Affine(scale, torch.zeros_like(scale), _axis(call))

    def emit(self, graph: OnnxGraph, call: Call, inputs: Sequence[str]) -> str:
        """One ``Mul``."""
        after = len(call.output_shape) - 1 - _axis(call)
        scale = _scale(call).detach().float().cpu().numpy()
        return graph.node("Mul", [inputs[0], graph.constant(scale.reshape(-1, *[1] * after))])

    def attributes(self, call: Call) -> dict[str, Any]:
        """See ``Op.attributes``; where training starts is part of what is trained."""
        return {"start": float(cast(Any, call.module).init_values), "axis": _axis(call)}

    def examples(self) -> Sequence[Example]:
        """See ``Op.examples``."""
        settings: dict[str, tuple[nn.Module, Shape]] = {
            "map": (_shaken(LayerScale2d(3, 0.1)), (2, 3, 4, 5)),
            "tokens": (nn.Sequential(nn.Linear(5, 6), _shaken(LayerScale(6, 0.1))), (2, 4, 5)),
            "in_place": (nn.Sequential(nn.Conv2d(3, 3, 1), _shaken(LayerScale2d(3, 1e-6, inplace=True))), (2, 3, 4, 5)),
        }
        return [Example(name, nn.Sequential(layer), shape) for name, (layer, shape) in settings.items()]


def _scale(call: Call) -> nn.Parameter:
    return cast(nn.Parameter, cast(nn.Module, call.module).gamma)


def _axis(call: Call) -> int:
    return 1 if isinstance(call.module, LayerScale2d) else len(call.input_shapes[0]) - 1


def _shaken(layer: nn.Module) -> nn.Module:
    nn.init.uniform_(cast(nn.Parameter, layer.gamma), 0.5, 1.5)
    return layer
