"""An ONNX graph under construction, to which ops append their nodes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from torch import fx

from nas.ops import Call, Shape
from nas.ops.arrays import as_array

#: The opset of files; old enough for all runtimes.
OPSET = 18
#: The version of the file format for this opset.
IR_VERSION = 8
#: Opset and version of files with 4-bit weights; the first ones that have them.
FOUR_BIT_OPSET, FOUR_BIT_IR_VERSION = 21, 10
#: Constants with at most this many values are stored once if they are equal.
_SMALL = 64


@dataclass(frozen=True)
class Integers:
    """Integers that stand for ``(values - zero_point) * scale``.

    There is one scale and zero point for each index of the first dimension. If blocks share a scale, ``values`` is
    ``(O, N)``, and scale and zero point are ``(O, blocks)``.
    """

    values: np.ndarray
    scale: np.ndarray
    zero_point: np.ndarray
    #: The parameter before rounding. Its shape is that of the parameter, and its zeros are part of the file's
    #: structure; zeros that result from rounding are not.
    original: np.ndarray
    #: Number of bits: 4, 8 or 32.
    bits: int
    block_size: int | None = None

    @property
    def dequantized(self) -> np.ndarray:
        """The numbers that the integers stand for, in the shape of the parameter."""
        scale, zero_point = self.scale, self.zero_point
        if self.block_size is None:
            column = (-1, *[1] * (self.values.ndim - 1))
            scale, zero_point = scale.reshape(column), zero_point.reshape(column)
        else:
            scale, zero_point = (np.repeat(item, self.block_size, axis=1) for item in (scale, zero_point))
        found: np.ndarray = (self.values.astype(np.float32) - zero_point.astype(np.float32)) * scale
        return found.reshape(self.original.shape)


#: A parameter as it ships: float32, float16 or integers.
Parameter = np.ndarray | Integers


class OnnxGraph:
    """Collects nodes and initializers under unique names.

    Args:
        parameters: ``(fx node, parameter name)`` → the parameter that ships in place of the module's own; None if no
            parameter ships.
    """

    def __init__(self, parameters: Mapping[tuple[fx.Node, str], Parameter | None] | None = None) -> None:
        self._replaced = dict(parameters or {})
        self._nodes: list[Any] = []
        self._initializers: list[Any] = []
        self._small: dict[tuple[Any, ...], str] = {}
        self._names: dict[str, int] = {}
        #: Prefix of the names of new nodes: the layer that is being emitted.
        self.scope = ""
        self._packs: dict[str, list[str]] = {}
        #: Name of an initializer with integers → the parameter before rounding.
        self.originals: dict[str, np.ndarray] = {}
        self._four_bits = False

    def node(self, op_type: str, inputs: Sequence[str], **attributes: Any) -> str:
        """Append a node with one output and return the name of the output."""
        name = self._unique(op_type)
        self._nodes.append(helper.make_node(op_type, list(inputs), [name], name=name, **attributes))
        return name

    def split(self, value: str, sizes: Sequence[int], axis: int) -> list[str]:
        """Append a ``Split`` that cuts ``value`` into parts of these sizes, and return the names of the parts."""
        name = self._unique("Split")
        parts = [f"{name}.part{index}" for index in range(len(sizes))]
        lengths = self.constant(np.array(sizes, dtype=np.int64))
        self._nodes.append(helper.make_node("Split", [value, lengths], parts, name=name, axis=axis))
        return parts

    def pack(self, values: Sequence[str]) -> str:
        """One name that stands for several values until ``unpack``; the file does not contain it."""
        name = self._unique("pack")
        self._packs[name] = list(values)
        return name

    def unpack(self, name: str) -> list[str]:
        """The names of the values that were packed under a name."""
        return self._packs[name]

    def constant(self, value: np.ndarray | np.generic) -> str:
        """Add an initializer and return its name; small equal ones are stored once."""
        array = np.asarray(value)
        key = (array.dtype.str, array.shape, array.tobytes()) if array.size <= _SMALL else None
        if key is not None and key in self._small:
            return self._small[key]
        name = self._unique("constant")
        self._initializers.append(numpy_helper.from_array(_contiguous(array), name))
        if key is not None:
            self._small[key] = name
        return name

    def has_parameter(self, call: Call, name: str) -> bool:
        """Whether the call has this parameter in the file; folding can add a bias to a module or remove it."""
        own = getattr(call.module, name, None)
        return self._replaced.get((call.node, name), own) is not None

    def parameter(self, call: Call, name: str) -> str:
        """Add a parameter of the call as it ships, folded and with the chosen bits, and return its name."""
        value = self._replaced.get((call.node, name))
        if value is None:
            value = as_array(getattr(call.module, name))
        if isinstance(value, Integers):
            return self._dequantized(value)
        return self._widened(value) if value.dtype == np.float16 else self.constant(value)

    def reshape(self, value: str, shape: Sequence[int]) -> str:
        """``value`` in another shape; -1 is the size that is left, 0 keeps the size of this dimension."""
        return self.node("Reshape", [value, self.constant(np.array(shape, dtype=np.int64))])

    def quantized(self, value: str, scale: np.float32, zero_point: np.uint8) -> str:
        """``value`` rounded to u8 and back, by the pair of nodes from which runtimes recognise integer layers."""
        operands = [self.constant(scale), self.constant(zero_point)]
        return self.node("DequantizeLinear", [self.node("QuantizeLinear", [value, *operands]), *operands])

    def model(self, input_name: str, input_shape: Shape, output: str, output_shape: Shape) -> onnx.ModelProto:
        """The finished model with the input ``input_name`` and the output ``output``."""
        if output == input_name or any(item.name == output for item in self._initializers):
            output = self.node("Identity", [output])
        self._rename(output, "output")
        value = helper.make_tensor_value_info
        # The tensors of a folded batch norm are not used.
        used = {name for node in self._nodes for name in node.input}
        graph = helper.make_graph(
            self._nodes,
            "network",
            [value(input_name, TensorProto.FLOAT, list(input_shape))],
            [value("output", TensorProto.FLOAT, list(output_shape))],
            [item for item in self._initializers if item.name in used],
        )
        opset, version = (FOUR_BIT_OPSET, FOUR_BIT_IR_VERSION) if self._four_bits else (OPSET, IR_VERSION)
        imports = [helper.make_opsetid("", opset)]
        return helper.make_model(graph, opset_imports=imports, ir_version=version, producer_name="measured-nas")

    def _dequantized(self, tensor: Integers) -> str:
        if tensor.bits == 4:
            self._four_bits = True
            return self._dequantized_four_bits(tensor)
        # Equal ones are not shared, because zeros are counted by name.
        name = self._unique("integers")
        self._initializers.append(numpy_helper.from_array(_contiguous(tensor.values), name))
        self.originals[name] = tensor.original
        operands = [name, self.constant(tensor.scale), self.constant(tensor.zero_point)]
        return self.node("DequantizeLinear", operands, axis=0)

    def _dequantized_four_bits(self, tensor: Integers) -> str:
        name, zero_points = self._unique("integers"), self._unique("zero_points")
        for key, array in ((name, tensor.values), (zero_points, tensor.zero_point)):
            packed = _packed(array)
            self._initializers.append(helper.make_tensor(key, TensorProto.INT4, array.shape, packed, raw=True))
        self.originals[name] = tensor.original
        operands = [name, self.constant(tensor.scale), zero_points]
        if tensor.block_size is None:
            return self.node("DequantizeLinear", operands, axis=0)
        found = self.node("DequantizeLinear", operands, axis=1, block_size=tensor.block_size)
        return found if tensor.original.ndim == 2 else self.reshape(found, tensor.original.shape)

    def _widened(self, value: np.ndarray) -> str:
        name = self._unique("float16")
        self._initializers.append(numpy_helper.from_array(_contiguous(value), name))
        return self.node("Cast", [name], to=TensorProto.FLOAT)

    def _unique(self, kind: str) -> str:
        base = f"{self.scope}/{kind}" if self.scope else kind
        count = self._names[base] = self._names.get(base, 0) + 1
        return base if count == 1 else f"{base}.{count}"

    def _rename(self, old: str, new: str) -> None:
        for node in self._nodes:
            for field in (node.input, node.output):
                for index, name in enumerate(field):
                    if name == old:
                        field[index] = new


def _packed(array: np.ndarray) -> bytes:
    """Pack two 4-bit integers into each byte, the first into its lower half."""
    halves = np.append(array.ravel(), np.zeros(array.size % 2, dtype=array.dtype)).astype(np.uint8) & 0xF
    return (halves[::2] | halves[1::2] << 4).astype(np.uint8).tobytes()


def _contiguous(array: np.ndarray) -> np.ndarray:
    """A contiguous array of the same shape; ``np.ascontiguousarray`` alone would turn a scalar into a vector."""
    return np.ascontiguousarray(array).reshape(array.shape)
