"""The op of RepVGG's and MobileOne's blocks, which train in branches and ship as one convolution."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, cast

import torch
from torch import nn

from nas.layers.rep_vgg import Block, MobileOne, RepVgg, branches_of, main_of, merged
from nas.ops import Call, Example, Integer, Op, Shape, Weights, op_name, op_of_module
from nas.ops.conv import Conv2dOp
from nas.ops.norm import shaken

if TYPE_CHECKING:
    from nas.export.onnx_graph import OnnxGraph


class RepVggOp(Op):
    """timm's blocks of RepVGG and MobileOne, merged into one convolution and its activation."""

    targets = (RepVgg, MobileOne)

    def shape(self, call: Call) -> Shape | None:
        """See ``Op.shape``."""
        return _CONV.shape(_conv_call(call))

    def covers(self, call: Call) -> bool:
        """Blocks whose activation has an op."""
        return op_of_module(_block(call).act) is not None

    def integer(self, call: Call) -> Integer:
        """See ``Op.integer``."""
        return "weights"

    def weights(self, call: Call) -> Weights:
        """See ``Op.weights``."""
        with torch.no_grad():
            return Weights(*merged(_block(call)), axis=1)

    def plain(self, call: Call) -> nn.Module:
        """See ``Op.plain``."""
        main, size = main_of(_block(call)), main_of(_block(call)).kernel_size[0]
        with torch.device("meta"):
            conv = nn.Conv2d(
                main.in_channels,
                main.out_channels,
                size,
                main.stride[0],
                size // 2 * main.dilation[0],
                main.dilation[0],
                main.groups,
            )
        return nn.Sequential(conv, _block(call).act)

    def emit(self, graph: OnnxGraph, call: Call, inputs: Sequence[str]) -> str:
        """One ``Conv``, then the nodes of the activation."""
        conv = main_of(_block(call))
        value = graph.node(
            "Conv",
            [inputs[0], graph.parameter(call, "weight"), graph.parameter(call, "bias")],
            strides=list(conv.stride),
            dilations=list(conv.dilation),
            group=conv.groups,
            pads=[conv.kernel_size[0] // 2 * conv.dilation[0]] * 4,
        )
        act = self._activation(call)
        op = op_of_module(_block(call).act)
        assert op is not None
        return op.emit(graph, act, [value])

    def macs(self, call: Call) -> int:
        """Multiply-accumulates of the one convolution that ships."""
        return _CONV.macs(_conv_call(call))

    def attributes(self, call: Call) -> dict[str, Any]:
        """See ``Op.attributes``."""
        block, op = _block(call), op_of_module(_block(call).act)
        activation = {"op": op_name(op), **op.attributes(self._activation(call))} if op is not None else {}
        return {
            **_CONV.attributes(_conv_call(call)),
            "branches": [conv.kernel_size[0] for conv, _ in branches_of(block)],
            "identity": block.identity is not None,
            "drop_path": float(getattr(block.drop_path, "drop_prob", 0.0)),
            "activation": activation,
        }

    def examples(self) -> Sequence[Example]:
        """See ``Op.examples``."""
        blocks: dict[str, nn.Module] = {
            "rep": RepVgg(4, 4),
            "rep_strided": RepVgg(4, 6, stride=2),
            "rep_grouped": RepVgg(4, 4, group_size=2),
            "mobile": MobileOne(4, 4, num_conv_branches=3),
            "mobile_depthwise": MobileOne(4, 4, group_size=1, stride=2),
            "mobile_pointwise": MobileOne(4, 6, kernel_size=1, num_conv_branches=2),
        }
        return [Example(name, nn.Sequential(_shaken(block)), (2, 4, 6, 5)) for name, block in blocks.items()]

    @staticmethod
    def _activation(call: Call) -> Call:
        return Call(call.node, _block(call).act, (call.output_shape,), call.output_shape)


_CONV = Conv2dOp()


def _block(call: Call) -> Block:
    return cast(Block, call.module)


def _conv_call(call: Call) -> Call:
    return Call(call.node, main_of(_block(call)), call.input_shapes, call.output_shape)


def _shaken(block: nn.Module) -> nn.Module:
    for module in block.modules():
        if isinstance(module, nn.BatchNorm2d):
            shaken(module)
    return block
