"""Blocks of timm that train in branches and ship as one convolution: RepVGG's and MobileOne's."""

from __future__ import annotations

import nas.torchvision_fix  # noqa: F401  isort: skip
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, cast

import torch
from timm.models.byobnet import MobileOneBlock, RepVggBlock
from torch import Tensor, nn
from torch.nn import functional as F

from nas.ops import Call, Example, Integer, Op, Shape, Weights, op_name, op_of_module
from nas.ops.conv import Conv2dOp
from nas.ops.norm import BatchNorm, shaken
from nas.space.site import Site

if TYPE_CHECKING:
    from nas.export.onnx_graph import OnnxGraph


class RepVgg(RepVggBlock):  # type: ignore[misc]
    """timm's block of RepVGG (Ding et al. 2021): 3×3, 1×1 and identity, each with its batch norm.

    In evaluation, and as it ships, it is one convolution and the activation; it is counted as its 3×3 with the batch
    norm.
    """

    training_only = ("conv_1x1", "identity")

    def sites(self, path: str) -> list[Site]:
        """Weight and activation of the merged convolution: bits may change; a mask would not survive merging."""
        return _sites(self, path)

    def forward(self, x: Tensor) -> Tensor:
        """``(N, C, H, W)`` → ``(N, C', H / stride, W / stride)``."""
        return cast(Tensor, super().forward(x)) if _is_training(self) else _merged_forward(self, x)


class MobileOne(MobileOneBlock):  # type: ignore[misc]
    """timm's block of MobileOne (Vasu et al. 2023): several k×k, a 1×1 and the identity; otherwise as ``RepVgg``.

    It is counted as all its k×k.
    """

    training_only = ("conv_scale", "identity")

    def sites(self, path: str) -> list[Site]:
        """See ``RepVgg.sites``."""
        return _sites(self, path)

    def forward(self, x: Tensor) -> Tensor:
        """``(N, C, H, W)`` → ``(N, C', H / stride, W / stride)``."""
        return cast(Tensor, super().forward(x)) if _is_training(self) else _merged_forward(self, x)


Block = RepVgg | MobileOne
_MERGING: dict[type[nn.Module], type[nn.Module]] = {RepVggBlock: RepVgg, MobileOneBlock: MobileOne}


def merge_when_deployed(model: nn.Module) -> None:
    """Let timm's blocks of these kinds ship as one convolution, in place; their tensors keep their names.

    Blocks with attention between branches and activation, and those that are merged already, stay as they are.
    """
    for module in model.modules():
        merging = _MERGING.get(type(module))
        if merging is not None and isinstance(module.attn, nn.Identity) and module.reparam_conv is None:
            # Neither kind has state of its own, so an object of the one is an object of the other.
            module.__class__ = merging


class RepVggOp(Op):
    """``RepVgg`` and ``MobileOne``: a convolution and its activation."""

    targets = (RepVgg, MobileOne)

    def shape(self, call: Call) -> Shape | None:
        """See ``Op.shape``."""
        return _CONV.shape(_conv_call(call))

    def covers(self, call: Call) -> bool:
        """Activations that have an op."""
        return op_of_module(_block(call).act) is not None

    def integer(self, call: Call) -> Integer:
        """See ``Op.integer``."""
        return "weights"

    def weights(self, call: Call) -> Weights:
        """See ``Op.weights``."""
        with torch.no_grad():
            return Weights(*merged(_block(call)), axis=1)

    def emit(self, graph: OnnxGraph, call: Call, inputs: Sequence[str]) -> str:
        """One ``Conv``, then what the activation is."""
        conv = _main(_block(call))
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
        """As it ships."""
        return _CONV.macs(_conv_call(call))

    def attributes(self, call: Call) -> dict[str, Any]:
        """See ``Op.attributes``."""
        block, op = _block(call), op_of_module(_block(call).act)
        activation = {"op": op_name(op), **op.attributes(self._activation(call))} if op is not None else {}
        return {
            **_CONV.attributes(_conv_call(call)),
            "branches": [conv.kernel_size[0] for conv, _ in _branches(block)],
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


def merged(block: Block) -> tuple[Tensor, Tensor]:
    """Weight ``(C', C / groups, K, K)`` and bias ``(C',)`` of the convolution that does the same in evaluation."""
    main = _main(block)
    size = main.kernel_size[0]
    weight, bias = torch.zeros_like(main.weight), torch.zeros_like(main.weight[:, 0, 0, 0])
    for conv, norm in _branches(block):
        taps, shift = _folded(conv.weight, norm)
        weight, bias = weight + F.pad(taps, [(size - conv.kernel_size[0]) // 2] * 4), bias + shift
    if block.identity is not None:
        taps, shift = _folded(_identity(main), block.identity)
        weight, bias = weight + taps, bias + shift
    return weight, bias


_CONV = Conv2dOp()


def _block(call: Call) -> Block:
    return cast(Block, call.module)


def _conv_call(call: Call) -> Call:
    return Call(call.node, _main(_block(call)), call.input_shapes, call.output_shape)


def _branches(block: Block) -> list[tuple[nn.Conv2d, BatchNorm]]:
    """Those that have a convolution."""
    if isinstance(block, RepVgg):
        parts = [block.conv_kxk, block.conv_1x1]
    else:
        parts = [*block.conv_kxk, *([block.conv_scale] if block.conv_scale is not None else [])]
    return [(part.conv, part.bn) for part in parts]


def _main(block: Block) -> nn.Conv2d:
    return _branches(block)[0][0]


def _is_training(block: Block) -> bool:
    # Not `self.training`: whoever gathers statistics puts batch norms alone into that mode.
    return any(norm.training for _, norm in _branches(block))


def _merged_forward(block: Block, inputs: Tensor) -> Tensor:
    main, (weight, bias) = _main(block), merged(block)
    outputs = F.conv2d(inputs, weight, bias, main.stride, main.padding, main.dilation, main.groups)
    return cast(Tensor, block.act(outputs))


def _identity(main: nn.Conv2d) -> Tensor:
    """The kernel that passes every channel on."""
    kernel, centre = torch.zeros_like(main.weight), main.kernel_size[0] // 2
    channels = torch.arange(main.out_channels, device=kernel.device)
    kernel[channels, channels % (main.in_channels // main.groups), centre, centre] = 1.0
    return kernel


def _folded(weight: Tensor, norm: BatchNorm) -> tuple[Tensor, Tensor]:
    mean, variance = cast(Tensor, norm.running_mean), cast(Tensor, norm.running_var)
    scale = norm.weight * torch.rsqrt(variance + norm.eps)
    return weight * scale.view(-1, 1, 1, 1), norm.bias - mean * scale


def _sites(block: Block, path: str) -> list[Site]:
    main = _main(block)
    return [
        Site("weight", path, tuple(main.weight.shape), dense=True),
        Site("activation", path, (main.in_channels,)),
    ]


def _shaken(block: nn.Module) -> nn.Module:
    for module in block.modules():
        if isinstance(module, nn.BatchNorm2d):
            shaken(module)
    return block
