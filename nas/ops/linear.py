"""Linear layer on the last dimension."""

from __future__ import annotations

import nas.torchvision_fix  # noqa: F401  isort: skip
import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, cast

from timm.layers import Linear
from torch import Tensor, nn
from torch.nn.utils.parametrize import is_parametrized

from nas.ops import Call, Channels, Example, Integer, Op, Shape, Weights

if TYPE_CHECKING:
    from nas.export.onnx_graph import OnnxGraph


class LinearOp(Op):
    """``nn.Linear`` of tensors with any number of dimensions before the last; timm's ``Linear``."""

    targets = (nn.Linear, Linear)

    def shape(self, call: Call) -> Shape | None:
        """See ``Op.shape``."""
        *before, features = call.input_shapes[0]
        linear = _linear(call)
        return (*before, linear.out_features) if features == linear.in_features else None

    def integer(self, call: Call) -> Integer:
        """See ``Op.integer``."""
        return "weights"

    def weights(self, call: Call) -> Weights:
        """See ``Op.weights``."""
        return Weights(_linear(call).weight, _linear(call).bias, axis=len(call.output_shape) - 1)

    def channels(self, call: Call) -> Channels:
        """``mixed`` for vectors; ``fixed`` for more dimensions, because the last one is no channel dimension."""
        return "mixed" if len(call.output_shape) == 2 else "fixed"

    def narrow_(self, module: nn.Module, outputs: Tensor | None, inputs: Tensor | None) -> None:
        """See ``Op.narrow_``."""
        assert isinstance(module, nn.Linear)
        narrow_weight_(module, outputs, inputs)
        module.out_features, module.in_features = module.weight.shape

    def emit(self, graph: OnnxGraph, call: Call, inputs: Sequence[str]) -> str:
        """One ``Gemm``, also for more than two dimensions: ``MatMul`` with a bias has no integer kernel."""
        operands = [inputs[0], graph.parameter(call, "weight")]
        if graph.has_parameter(call, "bias"):
            operands.append(graph.parameter(call, "bias"))
        if len(call.output_shape) == 2:
            return graph.node("Gemm", operands, transB=1)
        operands[0] = graph.reshape(inputs[0], (-1, call.input_shapes[0][-1]))
        rows = graph.node("Gemm", operands, transB=1)
        return graph.reshape(rows, (-1, *call.output_shape[1:]))

    def macs(self, call: Call) -> int:
        """Output elements times input features."""
        return math.prod(call.output_shape) * _linear(call).in_features

    def attributes(self, call: Call) -> dict[str, Any]:
        """See ``Op.attributes``."""
        linear = _linear(call)
        return {"in_features": linear.in_features, "bias": linear.bias is not None}

    def examples(self) -> Sequence[Example]:
        """See ``Op.examples``."""
        return [
            Example("matrix", nn.Sequential(nn.Linear(7, 5)), (3, 7)),
            Example("without_bias", nn.Sequential(nn.Linear(7, 5, bias=False)), (3, 7)),
            Example("timm", nn.Sequential(Linear(7, 4)), (3, 7)),
            Example("tokens", nn.Sequential(nn.Linear(7, 5)), (2, 4, 7)),
            Example("map", nn.Sequential(nn.Linear(7, 5, bias=False)), (2, 3, 4, 7)),
        ]


def narrow_weight_(module: nn.Linear | nn.Conv2d, outputs: Tensor | None, inputs: Tensor | None) -> None:
    """Keep these rows and columns of the weight, and these elements of the bias; None keeps all."""
    # Under a parametrization such as rounding, the parameter is ``original`` and not ``weight``.
    stacked: Any = getattr(module, "parametrizations", None)
    holder, name = (stacked["weight"], "original") if is_parametrized(module, "weight") else (module, "weight")
    weight = getattr(holder, name).detach()
    if outputs is not None:
        weight = weight[outputs]
        if module.bias is not None:
            module.bias = nn.Parameter(module.bias.detach()[outputs])
    setattr(holder, name, nn.Parameter(weight if inputs is None else weight[:, inputs]))


def _linear(call: Call) -> nn.Linear:
    return cast(nn.Linear, call.module)
