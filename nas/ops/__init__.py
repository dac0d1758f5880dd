"""Ops: the operations that a network is made of, each with its ONNX emitter, its cost and examples.

An op covers leaf modules (torch's or our own), functions and tensor methods of an fx graph. The tracer treats every
covered module as a leaf. Export walks the graph and asks the op of each node to emit it. Accounting asks the op for
multiply-accumulates. If a node has no op, torch's own exporter writes the whole network, and the record says so.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import TYPE_CHECKING, Any, Literal

from nas.ops.call import Call, Input, Shape
from nas.registry import Registry

if TYPE_CHECKING:
    from torch import Tensor, nn

    from nas.export.onnx_graph import OnnxGraph

__all__ = [
    "OPS",
    "Affine",
    "Call",
    "Channels",
    "Example",
    "Input",
    "Integer",
    "Op",
    "Shape",
    "Weights",
    "op_name",
    "op_of_module",
    "op_of_target",
    "register",
]

#: How a call between 8-bit values is computed. ``weights``: in integers; it is a site of its own. ``fused``: as a part
#: of the weighted call before it. ``same``: it selects or moves values, so its output has the scale of its input.
#: ``own``: in integers, with a scale of its own for the output. ``float``: in floats.
Integer = Literal["weights", "fused", "same", "own", "float"]
#: How channels (the second dimension) pass through a call. ``mixed``: each output channel depends on all input
#: channels, through the module's ``weight`` ``(outputs, inputs, …)``. ``same``: output channel i depends only on input
#: channel i; in a flattened map, a value depends only on the channel whose block it is in. ``fixed``: no input or
#: output channel can be removed.
Channels = Literal["mixed", "same", "fixed"]


@dataclass(frozen=True)
class Weights:
    """The weights that a call of behaviour ``weights`` computes with, as they ship: masked and merged."""

    #: ``(output channels, …)``.
    weight: Tensor
    bias: Tensor | None
    #: The dimension of the call's output that holds the output channels.
    axis: int


@dataclass(frozen=True)
class Affine:
    """``input * scale + shift``: all that a deployed call computes, with a scale and a shift per index of an axis."""

    #: Both are ``(C,)``, float32 and on the CPU.
    scale: Tensor
    shift: Tensor
    #: The dimension of the call's output that has an index for each scale.
    axis: int


@dataclass(frozen=True)
class Example:
    """A small network that uses the op, for the contract suites."""

    name: str
    model: nn.Module
    #: Shape of one input, batch included.
    input_shape: Shape


class Op(ABC):
    """One kind of node: the calls it covers, how they are emitted, what they cost."""

    #: Module classes, functions (``torch.add``, ``operator.add``) and method names (``"flatten"``) that it covers.
    targets: Sequence[type | Any | str] = ()

    def shape(self, call: Call) -> Shape | None:
        """The output's shape by a rule, for a call whose ``output_shape`` is not known yet.

        None leaves it to torch: if there is no rule, or if the input does not fit, so that torch reports it. A rule
        saves time: torch takes seconds to infer its first shape, and up to a millisecond for each later one.
        """
        return None

    def covers(self, call: Call) -> bool:
        """Whether ``emit`` can write this call; if not, the node counts as one without an op."""
        return True

    def transparent(self, call: Call) -> bool:
        """Whether the call returns its input, also in training; such a node is not part of the identity."""
        return False

    def commutes(self, call: Call) -> bool:
        """Whether the order of the inputs has no effect."""
        return False

    def integer(self, call: Call) -> Integer:
        """How the call is computed between 8-bit values."""
        return "float"

    def weights(self, call: Call) -> Weights | None:
        """The call's weights as they ship, for folding, rounding and counting; None for a call without weights.

        ``emit`` gets them back as the parameters ``weight`` and ``bias`` of the call, folded and rounded.
        """
        return None

    def plain(self, call: Call) -> nn.Module | None:
        """Modules of torch that compute a call with weights when deployed; for networks written in plain PyTorch.

        It is a convolution, a linear layer, or a sequence with one of them, whose weights are replaced by those that
        ship. None for a module that is a convolution or a linear layer itself.
        """
        return None

    def affine(self, call: Call, constants: Sequence[Tensor | None]) -> Affine | None:
        """Scale and shift of a call that does nothing else when deployed; they are folded into the weights before it.

        ``constants`` are the tensor inputs of the call, with None for those that are computed.
        """
        return None

    def last_shift(self, call: Call) -> Tensor | None:
        """The shift ``(C,)`` that the call adds to its channels last, if any; the next layer's bias may take it over.

        In that case the graph has no parameter ``bias`` for the call any more, and ``emit`` leaves the addition out.
        """
        return None

    def channels(self, call: Call) -> Channels:
        """How channels pass from the inputs of the call to its output."""
        return "fixed"

    def narrow_(  # noqa: B027  (most modules hold nothing per channel)
        self, module: nn.Module, outputs: Tensor | None, inputs: Tensor | None
    ) -> None:
        """Keep only these output and input channels of a module; None keeps all.

        Both are given for a module whose channels are ``same``.
        """

    @abstractmethod
    def emit(self, graph: OnnxGraph, call: Call, inputs: Sequence[str]) -> str:
        """Append nodes that compute ``call`` from the values named ``inputs``, and return the name of the result."""

    def macs(self, call: Call) -> int:
        """Multiply-accumulates of one call (1 MAC = 2 FLOPs); elementwise work counts as none."""
        return 0

    @abstractmethod
    def attributes(self, call: Call) -> dict[str, Any]:
        """Everything besides shapes and inputs that makes two calls compute different results, as JSON values."""

    @abstractmethod
    def examples(self) -> Sequence[Example]:
        """Small networks that together use every setting of the op."""


OPS: Registry[type[Op]] = Registry(
    "ops",
    {
        "conv2d": "nas.ops.conv:Conv2dOp",
        "layer_scale": "nas.ops.layer_scale:LayerScaleOp",
        "linear": "nas.ops.linear:LinearOp",
        "batch_norm": "nas.ops.norm:BatchNormOp",
        "activation": "nas.ops.activation:ActivationOp",
        "addcmul": "nas.ops.addcmul:AddcmulOp",
        "attention": "nas.ops.attention:AttentionOp",
        "pool": "nas.ops.pool:PoolOp",
        "global_pool": "nas.ops.pool:GlobalPoolOp",
        "global_response_norm": "nas.ops.global_response_norm:GlobalResponseNormOp",
        "dilated_reparam": "nas.ops.dilated_reparam:DilatedReparamOp",
        "elementwise": "nas.ops.elementwise:ElementwiseOp",
        "concat": "nas.ops.concat:ConcatOp",
        "expand": "nas.ops.expand:ExpandOp",
        "flatten": "nas.ops.flatten:FlattenOp",
        "group_norm": "nas.ops.group_norm:GroupNormOp",
        "identity": "nas.ops.identity:IdentityOp",
        "indexing": "nas.ops.indexing:IndexingOp",
        "layer_norm": "nas.ops.layer_norm:LayerNormOp",
        "ls_conv": "nas.ops.ls_conv:LSConvOp",
        "matmul": "nas.ops.matmul:MatMulOp",
        "reduce": "nas.ops.reduce:ReduceOp",
        "rep_vgg": "nas.ops.rep_vgg:RepVggOp",
        "resize": "nas.ops.resize:ResizeOp",
        "softmax": "nas.ops.softmax:SoftmaxOp",
        "sparse": "nas.ops.sparse:SparseOp",
        "spartan": "nas.ops.spartan:SpartanOp",
        "split": "nas.ops.split:SplitOp",
        "transpose": "nas.ops.transpose:TransposeOp",
        "ulsam": "nas.ops.ulsam:UlsamOp",
    },
    subclasses_of=Op,
)


def register(name: str, op: type[Op]) -> None:
    """Register an op of your own; call this in the file that defines the module that the op covers.

    Plans do not name ops. Every process that builds a network imports the files of its modules, and thereby registers
    their ops.

    Raises:
        PlanError: another op has that name.
    """
    OPS.add(name, f"{op.__module__}:{op.__qualname__}")
    if _table.cache_info().currsize and name not in _table().names.values():
        _table().add(name, op())


@dataclass
class _Table:
    by_type: dict[type, Op] = field(default_factory=dict)
    by_target: dict[Any, Op] = field(default_factory=dict)
    names: dict[Op, str] = field(default_factory=dict)

    def add(self, name: str, op: Op) -> None:
        self.names[op] = name
        for target in op.targets:
            if isinstance(target, type):
                self.by_type[target] = op
            else:
                self.by_target[target] = op


@cache
def _table() -> _Table:
    table = _Table()
    for name in OPS.names():
        table.add(name, OPS.get(name)())
    return table


def op_of_module(module: nn.Module) -> Op | None:
    """The op that covers this module's exact class, if any; parametrizations (masks) do not change what it is."""
    from torch.nn.utils.parametrize import type_before_parametrizations

    return _table().by_type.get(type_before_parametrizations(module))


def op_of_target(target: Any) -> Op | None:
    """The op that covers this function or method name, if any."""
    return _table().by_target.get(target)


def op_name(op: Op) -> str:
    """The name under which ``op`` (one that ``op_of_module`` or ``op_of_target`` returned) is registered."""
    return _table().names[op]
