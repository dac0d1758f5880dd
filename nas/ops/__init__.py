"""Ops: what a network is made of, each with its ONNX emitter, its cost and examples of itself.

An op covers leaf modules (torch's or our own), functions and tensor methods of an fx graph. The tracer
treats every covered module as a leaf; export walks the graph and asks each node's op to emit itself;
accounting asks for its multiply-accumulates. A node without an op sends the whole network to torch's own
exporter, and the record says so.
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

#: What becomes of a call between 8-bit values. ``weights``: computes in integers, a site of its own.
#: ``fused``: disappears into the weighted call before it. ``same``: selects or moves values, so its output
#: has its input's scale. ``own``: integers with a scale of its own. ``float``: computes in floats.
Integer = Literal["weights", "fused", "same", "own", "float"]
#: How channels (the second dimension) pass. ``mixed``: each output depends on all inputs, by the module's ``weight``
#: ``(outputs, inputs, …)``. ``same``: each output depends on the input of its number; in a flattened map, that of its
#: stretch. ``fixed``: neither inputs nor outputs can be taken away.
Channels = Literal["mixed", "same", "fixed"]


@dataclass(frozen=True)
class Weights:
    """What a call of behaviour ``weights`` computes with, as it ships: masked, merged."""

    #: Output channels first.
    weight: Tensor
    bias: Tensor | None
    #: Dimension of the output that counts the output channels.
    axis: int


@dataclass(frozen=True)
class Affine:
    """``input * scale + shift``: all a deployed call does, with one of both for each index of a dimension."""

    #: ``(C,)`` each, float32 on the processor.
    scale: Tensor
    shift: Tensor
    #: Dimension of the output.
    axis: int


@dataclass(frozen=True)
class Example:
    """A small network that uses the op, for the contract suites."""

    name: str
    model: nn.Module
    #: Shape of one input, batch included.
    input_shape: Shape


class Op(ABC):
    """One kind of node: what it covers, how it is emitted, what it costs."""

    #: Module classes, functions (``torch.add``, ``operator.add``) and method names (``"flatten"``) it covers.
    targets: Sequence[type | Any | str] = ()

    def shape(self, call: Call) -> Shape | None:
        """The output's shape, of a call whose ``output_shape`` is not known yet.

        None asks torch: where there is no rule, or the input does not fit and torch shall say so. Worth
        having: torch takes seconds for its first shape without computing, a millisecond for some later ones.
        """
        return None

    def covers(self, call: Call) -> bool:
        """Whether ``emit`` can write this very call; if not, it counts as a node without an op."""
        return True

    def transparent(self, call: Call) -> bool:
        """Whether the call returns its input, in training too: such a node is no part of the identity."""
        return False

    def commutes(self, call: Call) -> bool:
        """Whether the order of the inputs has no effect."""
        return False

    def integer(self, call: Call) -> Integer:
        """What becomes of the call between 8-bit values."""
        return "float"

    def weights(self, call: Call) -> Weights | None:
        """Its weights as they ship, for folding, integers and counts; None of a call without.

        ``emit`` gets them back as the parameters ``weight`` and ``bias`` of the call: folded, in integers.
        """
        return None

    def affine(self, call: Call, constants: Sequence[Tensor | None]) -> Affine | None:
        """What it multiplies and adds, of a call that does nothing else when deployed: folded into weights before.

        ``constants`` are its tensor inputs, None where they are computed.
        """
        return None

    def last_shift(self, call: Call) -> Tensor | None:
        """``(C,)`` which it adds to the channels at the end, if it does: may move into the weights behind.

        ``emit`` leaves it out where the call has no parameter ``bias`` to give any more.
        """
        return None

    def channels(self, call: Call) -> Channels:
        """How channels pass from the inputs to the output."""
        return "fixed"

    def narrow_(  # noqa: B027  (most modules hold nothing per channel)
        self, module: nn.Module, outputs: Tensor | None, inputs: Tensor | None
    ) -> None:
        """Keep only these output and input channels of a module, all where None.

        Where channels are the same, both are given.
        """

    @abstractmethod
    def emit(self, graph: OnnxGraph, call: Call, inputs: Sequence[str]) -> str:
        """Append nodes that compute ``call`` from the values named ``inputs``; the name of the result."""

    def macs(self, call: Call) -> int:
        """Multiply-accumulates of one call (1 MAC = 2 FLOPs); elementwise work counts as none."""
        return 0

    @abstractmethod
    def attributes(self, call: Call) -> dict[str, Any]:
        """What, beside shapes and inputs, makes two calls compute differently: JSON values."""

    @abstractmethod
    def examples(self) -> Sequence[Example]:
        """Small networks that between them use every setting of the op."""


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
    """Make an op of your own known, in the file that defines the module it covers.

    Plans name no ops: whoever builds a network has imported the files of its modules, so there is the place.

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
