"""An ONNX graph being written: names, constants, and quantization where it is asked for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx
import torch
from onnx import TensorProto, helper, numpy_helper
from torch import Tensor, fx

from nas.ops import Call
from nas.quantization.ranges import Range, weight_scales

OPSET = 17
IR_VERSION = 8
INPUT, OUTPUT = "input", "output"


@dataclass(frozen=True)
class LayerWeights:
    """Weight ``(out, in / groups, …)`` and bias ``(out,)`` of a layer as deployed, batch norm folded in."""

    weight: Tensor
    bias: Tensor | None


class OnnxGraph:
    """What ops emit themselves into.

    Args:
        weights: module path → weights as deployed.
        bits: module path → 8 for layers that compute with integers.
        ranges: value → range of its activations; needed for the inputs and outputs of 8-bit layers.
    """

    def __init__(
        self,
        weights: Mapping[str, LayerWeights],
        bits: Mapping[str, int],
        ranges: Mapping[fx.Node, Range],
    ) -> None:
        self._weights = weights
        self._bits = bits
        self._ranges = ranges
        self._nodes: list[onnx.NodeProto] = []
        self._constants: list[onnx.TensorProto] = []
        self._dequantized: dict[str, str] = {}

    def node(self, kind: str, inputs: Sequence[str], **attributes: Any) -> str:
        """Append a node with one output; the output's name."""
        output = f"v{len(self._nodes)}"
        self._nodes.append(helper.make_node(kind, list(inputs), [output], **attributes))
        return output

    def constant(self, values: np.ndarray) -> str:
        """Add a constant tensor; its name."""
        name = f"c{len(self._constants)}"
        self._constants.append(numpy_helper.from_array(np.ascontiguousarray(values), name))
        return name

    def scalar(self, value: float) -> str:
        """Add a float32 number."""
        return self.constant(np.array(value, dtype=np.float32))

    def floats(self, values: Sequence[float]) -> str:
        """Add a float32 vector."""
        return self.constant(np.array(values, dtype=np.float32))

    def integers(self, values: Sequence[int]) -> str:
        """Add an int64 vector."""
        return self.constant(np.array(values, dtype=np.int64))

    def weights(self, call: Call, data: str) -> list[str]:
        """Inputs of a layer with weights: data, weight and bias where there is one, quantized at 8 bits."""
        path = str(call.node.target)
        layer = self._weights[path]
        if self._bits.get(path, 32) == 32:
            names = [data, self.constant(layer.weight.numpy())]
            return names if layer.bias is None else [*names, self.constant(layer.bias.numpy())]
        source = call.node.all_input_nodes[0]
        return self._quantized(data, self._ranges[source], layer)

    def quantize(self, value: str, found: Range) -> str:
        """``value`` rounded to 8 bits and back; once per value."""
        if value not in self._dequantized:
            scale, zero = self.scalar(found.scale), self.constant(np.array(found.zero_point, dtype=np.uint8))
            rounded = self.node("QuantizeLinear", [value, scale, zero])
            self._dequantized[value] = self.node("DequantizeLinear", [rounded, scale, zero])
        return self._dequantized[value]

    def model(self, input_shape: Sequence[int], output: str, output_shape: Sequence[int]) -> onnx.ModelProto:
        """The finished model, from ``input`` to ``output``, both float32."""
        self._nodes.append(helper.make_node("Identity", [output], [OUTPUT]))
        graph = helper.make_graph(
            self._nodes,
            "network",
            [helper.make_tensor_value_info(INPUT, TensorProto.FLOAT, list(input_shape))],
            [helper.make_tensor_value_info(OUTPUT, TensorProto.FLOAT, list(output_shape))],
            self._constants,
        )
        return helper.make_model(
            graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR_VERSION, producer_name="measured-nas"
        )

    def _quantized(self, data: str, found: Range, layer: LayerWeights) -> list[str]:
        scales = weight_scales(layer.weight)
        shape = (-1, *[1] * (layer.weight.dim() - 1))
        integers = (layer.weight / scales.view(shape)).round().clamp(-127, 127).to(torch.int8)
        scale = self.constant(scales.numpy())
        zeros = self.constant(np.zeros(len(scales), dtype=np.int8))
        weight = self.node("DequantizeLinear", [self.constant(integers.numpy()), scale, zeros], axis=0)
        names = [self.quantize(data, found), weight]
        if layer.bias is None:
            return names
        # In the accumulator's own unit, so that a runtime adds it as an integer.
        units = scales * found.scale
        rounded = (layer.bias / units).round().clamp(-(2**31), 2**31 - 1).numpy().astype(np.int32)
        bias = [self.constant(rounded), self.constant(units.numpy()), self.constant(np.zeros_like(rounded))]
        return [*names, self.node("DequantizeLinear", bias, axis=0)]
