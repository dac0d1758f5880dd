"""Group normalisation: each group of channels is normalised by its own mean and variance."""

from __future__ import annotations

import nas.torchvision_fix  # noqa: F401  isort: skip
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, cast

import numpy as np
from timm.layers import GroupNorm, GroupNorm1
from torch import Tensor, nn

from nas.ops import Call, Example, Op, Shape
from nas.ops.arrays import as_array

if TYPE_CHECKING:
    from nas.export.onnx_graph import OnnxGraph


class GroupNormOp(Op):
    """``nn.GroupNorm`` of maps, timm's ``GroupNorm`` and ``GroupNorm1``."""

    targets = (nn.GroupNorm, GroupNorm, GroupNorm1)

    def shape(self, call: Call) -> Shape | None:
        """The shape of the input."""
        shape = call.input_shapes[0]
        return shape if shape[1] == _norm(call).num_channels else None

    def covers(self, call: Call) -> bool:
        """Maps ``(N, C, H, W)``."""
        return len(call.input_shapes[0]) == 4

    def last_shift(self, call: Call) -> Tensor | None:
        """See ``Op.last_shift``."""
        return _norm(call).bias if _norm(call).affine else None

    def emit(self, graph: OnnxGraph, call: Call, inputs: Sequence[str]) -> str:
        """``InstanceNormalization`` with groups as channels: ``GroupNormalization`` differs between opsets."""
        norm, shape = _norm(call), call.output_shape
        neutral = [graph.constant(np.full(norm.num_groups, value, dtype=np.float32)) for value in (1, 0)]
        groups = graph.reshape(inputs[0], (0, norm.num_groups, -1))
        normalised = graph.node("InstanceNormalization", [groups, *neutral], epsilon=norm.eps)
        value = graph.reshape(normalised, (0, *shape[1:]))
        for kind, name in (("Mul", "weight"), ("Add", "bias")):
            if graph.has_parameter(call, name):
                parameter = as_array(cast(Tensor, getattr(norm, name))).reshape(-1, 1, 1)
                value = graph.node(kind, [value, graph.constant(parameter)])
        return value

    def attributes(self, call: Call) -> dict[str, Any]:
        """See ``Op.attributes``."""
        norm = _norm(call)
        return {"groups": norm.num_groups, "eps": norm.eps, "affine": norm.affine}

    def examples(self) -> Sequence[Example]:
        """See ``Op.examples``."""
        settings: dict[str, nn.Module] = {
            "groups": _shaken(nn.GroupNorm(2, 6)),
            "one_group": _shaken(nn.GroupNorm(1, 6, eps=0.1)),
            "timm": _shaken(GroupNorm1(6)),
            "not_affine": nn.GroupNorm(3, 6, affine=False),
            "before_a_layer": nn.Sequential(_shaken(nn.GroupNorm(2, 6)), nn.Conv2d(6, 4, 1)),
        }
        return [Example(name, nn.Sequential(norm), (2, 6, 4, 5)) for name, norm in settings.items()]


def _norm(call: Call) -> nn.GroupNorm:
    return cast(nn.GroupNorm, call.module)


def _shaken(norm: nn.GroupNorm) -> nn.GroupNorm:
    for parameter in norm.parameters():
        nn.init.uniform_(parameter, 0.5, 1.5)
    return norm
