"""Finds the layers of an OpenVINO graph that native kernels can compute."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from nas.kernels.library import Method
from nas.kernels.sparse_format import Floats, SparseWeights
from nas.latency.runtimes.openvino.quiet import openvino

Kind = Literal["sparse", "depthwise"]

#: Largest density of a layer that kernels compute; with fewer zeros, skipping them saves nothing.
MAX_DENSITY = 0.75


@dataclass(frozen=True)
class Setting:
    """How a kernel computes a layer."""

    #: Sparse kernels: number of adjacent outputs that share a list of inputs.
    rows: int = 1
    #: Sparse kernels: number of vectors of pixels that are computed at a time.
    width: int = 0
    #: Name of the instruction set; "" for the processor's best.
    instruction_set: str = ""
    #: Depthwise kernels: method of computing.
    method: Method = "pixels"


@dataclass(frozen=True, eq=False)
class KernelLayer:
    """A layer that a kernel can compute, with the bias and activation that are fused into it."""

    #: The friendly name of its convolution or matrix product.
    name: str
    kind: Kind
    #: ``(outputs, inputs)`` for a sparse layer, ``(channels, height, width)`` for a depthwise one.
    weight: Floats
    #: ``(outputs,)``
    bias: Floats
    activation: str
    #: ``(N, C, …)``; for linear layers ``(…, C)``.
    input_shape: tuple[int, ...]
    output_shape: tuple[int, ...]
    channels_last: bool = False
    stride: int = 1
    pads_begin: tuple[int, int] = (0, 0)
    pads_end: tuple[int, int] = (0, 0)

    @property
    def density(self) -> float:
        """Share of the weight that is not zero."""
        return np.count_nonzero(self.weight) / self.weight.size

    def attributes(self, setting: Setting) -> dict[str, Any]:
        """Attributes of the kernel's operation."""
        common = {"activation": self.activation, "instruction_set": setting.instruction_set}
        if self.kind == "sparse":
            shape = {"outputs": len(self.weight), "channels_last": self.channels_last}
            return {**shape, "rows": setting.rows, "width": setting.width, **common}
        pads = {"pads_begin": self.pads_begin, "pads_end": self.pads_end}
        return {"stride": self.stride, **pads, "method": setting.method, **common}

    def constants(self, setting: Setting) -> list[np.ndarray]:
        """Inputs of the kernel's operation besides the layer's input: weights and bias."""
        if self.kind == "depthwise":
            return [self.weight, self.bias]
        weights = SparseWeights.of(self.weight, setting.rows)
        return [weights.values, weights.columns, weights.starts, self.bias]


def prepare(model: openvino.Model) -> None:
    """Apply OpenVINO's own folding and fusing to a graph as read from a file, so that its layers are recognised."""
    openvino._offline_transformations.apply_moc_transformations(model, False)


def kernel_layers(model: openvino.Model) -> list[KernelLayer]:
    """Layers of a prepared graph that kernels can compute, in the order of execution.

    These are depthwise convolutions, and 1×1 convolutions (also grouped) and linear layers whose weights are partly
    zero, each with a bias and an activation if these are the only readers of its output. Layers in 8 bits, or whose
    shapes are not fixed, are left out.
    """
    return [match.layer for match in matches(model)]


@dataclass(frozen=True, eq=False)
class Match:
    """A layer with its position in the graph."""

    layer: KernelLayer
    node: openvino.Node
    #: Output of the last node that is fused into the layer.
    result: openvino.Output


def matches(model: openvino.Model) -> Iterator[Match]:
    """The layers of a prepared graph with their nodes, in the order of execution."""
    for node in model.get_ordered_ops():
        found = _FINDERS.get(node.get_type_name(), lambda node: None)(node)
        if found is not None and _is_plain(node):
            yield _fused(node, found)


def _is_plain(node: openvino.Node) -> bool:
    """Whether a node has fixed sizes and computes with 32-bit values that are not quantized to 8 bits."""
    ends = [node.input_value(0), node.output(0)]
    return (
        all(end.get_partial_shape().is_static and end.get_element_type() == openvino.Type.f32 for end in ends)
        and node.input_value(0).get_node().get_type_name() != "FakeQuantize"
    )


def _pointwise(node: openvino.Node) -> dict[str, Any] | None:
    weight = _constant(node.input_value(1))
    if weight is None or not _is_of_single_pixels(node, weight.shape[2:]):
        return None
    return _sparse(weight.reshape(weight.shape[:2]))


def _is_of_single_pixels(node: openvino.Node, kernel: tuple[int, ...]) -> bool:
    attributes = node.get_attributes()
    pads = {*attributes["pads_begin"], *attributes["pads_end"]}
    return len(kernel) > 0 and {*kernel} == {1} and {*attributes["strides"]} == {1} and pads == {0}


def _grouped(node: openvino.Node) -> dict[str, Any] | None:
    """A grouped 1×1 convolution as a sparse layer, with zeros between groups; a depthwise layer otherwise."""
    weight = _constant(node.input_value(1))
    if weight is None or not _is_of_single_pixels(node, weight.shape[3:]):
        return _depthwise(node)
    groups, outputs, inputs = weight.shape[:3]
    whole = np.zeros((groups, outputs, groups, inputs), np.float32)
    whole[range(groups), :, range(groups)] = weight.reshape(groups, outputs, inputs)
    return _sparse(whole.reshape(groups * outputs, groups * inputs))


def _linear(node: openvino.Node) -> dict[str, Any] | None:
    weight, attributes = _constant(node.input_value(1)), node.get_attributes()
    if weight is None or weight.ndim != 2 or attributes["transpose_a"] or len(node.get_output_partial_shape(0)) < 2:
        return None
    found = _sparse(weight if attributes["transpose_b"] else np.ascontiguousarray(weight.T))
    return found and {**found, "channels_last": True}


def _sparse(weight: Floats) -> dict[str, Any] | None:
    if np.count_nonzero(weight) > MAX_DENSITY * weight.size:
        return None
    return {"kind": "sparse", "weight": weight}


def _depthwise(node: openvino.Node) -> dict[str, Any] | None:
    weight, attributes = _constant(node.input_value(1)), node.get_attributes()
    if weight is None or weight.ndim != 5 or weight.shape[1:3] != (1, 1):
        return None
    if {*attributes["dilations"]} != {1} or len({*attributes["strides"]}) != 1:
        return None
    return {
        "kind": "depthwise",
        "weight": weight.reshape(len(weight), *weight.shape[3:]),
        "stride": attributes["strides"][0],
        "pads_begin": tuple(attributes["pads_begin"]),
        "pads_end": tuple(attributes["pads_end"]),
    }


_FINDERS = {"Convolution": _pointwise, "GroupConvolution": _grouped, "MatMul": _linear}


def _fused(node: openvino.Node, found: dict[str, Any]) -> Match:
    result, bias = _biased(node.output(0), len(found["weight"]), -1 if found.get("channels_last") else 1)
    result, activation = _activated(result)
    layer = KernelLayer(
        name=node.get_friendly_name(),
        bias=bias,
        activation=activation,
        input_shape=tuple(node.get_input_shape(0)),
        output_shape=tuple(node.get_output_shape(0)),
        **found,
    )
    return Match(layer, node, result)


def _biased(output: openvino.Output, channels: int, axis: int) -> tuple[openvino.Output, Floats]:
    """The output after adding a bias per channel, and the bias, if that sum alone reads ``output``.

    Otherwise ``output`` itself and a bias of zeros.
    """
    reader = only_reader(output)
    if reader is not None and reader.get_type_name() == "Add":
        allowed = [1] * len(output.get_shape())
        allowed[axis] = channels
        for term in (_constant(reader.input_value(0)), _constant(reader.input_value(1))):
            if term is not None and _broadcasts(term.shape, allowed):
                return reader.output(0), np.broadcast_to(term.reshape(-1), (channels,)).copy()
    return output, np.zeros(channels, np.float32)


def _broadcasts(shape: tuple[int, ...], to: list[int]) -> bool:
    missing = len(to) - len(shape)
    return missing >= 0 and all(size in (1, wanted) for size, wanted in zip(shape, to[missing:], strict=True))


def _activated(output: openvino.Output) -> tuple[openvino.Output, str]:
    reader = only_reader(output)
    if reader is None:
        return output, "none"
    kind, attributes = reader.get_type_name(), reader.get_attributes()
    known = {
        "Relu": "relu",
        "HSwish": "hard_swish",
        "Clamp": "relu6" if (attributes.get("min"), attributes.get("max")) == (0.0, 6.0) else None,
        "Gelu": "gelu" if attributes.get("approximation_mode", "").upper() == "ERF" else None,
        "Swish": "silu" if reader.get_input_size() == 1 else None,
    }
    found = known.get(kind)
    return (output, "none") if found is None else (reader.output(0), found)


def only_reader(output: openvino.Output) -> openvino.Node | None:
    """The only node that reads an output; None if several nodes or none read it."""
    readers = list(output.get_target_inputs())
    return readers[0].get_node() if len(readers) == 1 else None


def _constant(output: openvino.Output) -> Floats | None:
    """A copy of a constant's values; None if the output is not a 32-bit constant."""
    node = output.get_node()
    if node.get_type_name() != "Constant" or node.get_element_type() != openvino.Type.f32:
        return None
    return np.array(node.data)
