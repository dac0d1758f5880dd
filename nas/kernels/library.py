"""Calls the kernels without OpenVINO, on one thread, for tests, tuning and benchmarks."""

from __future__ import annotations

import ctypes
import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np

from nas.errors import MeasureError
from nas.kernels.sparse_format import ROWS, Floats, SparseWeights

#: Activations that the kernels can apply to their output, in the order of the library's numbers.
ACTIVATIONS = ("none", "relu", "relu6", "silu", "gelu", "hard_swish")

#: How a depthwise kernel computes: sums of products in vectors of pixels or of channels, or Fourier transforms.
Method = Literal["pixels", "channels", "fourier"]
METHODS: tuple[Method, ...] = get_args(Method)

_LARGEST = 2**31 - 1
#: Number of floats in a cache line.
_LINE = 16


@dataclass(frozen=True)
class InstructionSet:
    """An instruction set that the kernels are compiled for."""

    name: str
    #: Number of floats in a vector.
    lanes: int
    #: Whether this processor has it.
    available: bool


class _SparseLayer(ctypes.Structure):
    _fields_ = (
        *((name, ctypes.c_int32) for name in ("outputs", "inputs", "rows", "activation", "channels_last")),
        *((name, ctypes.c_void_p) for name in ("starts", "columns", "values", "bias")),
    )


class _DepthwiseLayer(ctypes.Structure):
    _fields_ = (
        *((name, ctypes.c_int32) for name in ("channels", "height", "width", "kernel_height", "kernel_width")),
        *((name, ctypes.c_int32) for name in ("stride", "top", "left", "out_height", "out_width", "activation")),
        *((name, ctypes.c_int32) for name in ("reads_last", "writes_last", "by_channels")),
        *((name, ctypes.c_void_p) for name in ("weights", "bias", "spectrum")),
    )


@dataclass(frozen=True)
class Prepared:
    """A kernel with checked arguments; each call computes the output from them."""

    kernel: Callable[..., Any]
    arguments: tuple[Any, ...]
    y: Floats
    #: Arrays that the arguments point into; they are kept alive here.
    read: tuple[Any, ...]

    def __call__(self) -> Floats:
        """Compute and return the output, always in the same memory."""
        if self.y.size:
            self.kernel(*self.arguments)
        return self.y


class Library:
    """The library in a file that ``nas.kernels.build`` built.

    The methods check all arguments and raise MeasureError for those that do not fit, before a kernel can read them.
    """

    def __init__(self, path: Path) -> None:
        try:
            self._library = ctypes.CDLL(str(path))
        except OSError as error:
            raise MeasureError(f"the native kernels can't be opened: {error}") from error
        self._library.kernels_instruction_set_name.restype = ctypes.c_char_p
        self._library.kernels_multiply_adds.restype = ctypes.c_int64
        self._library.kernels_spectrum_size.restype = ctypes.c_int64
        self._library.kernels_sparse_widths.restype = ctypes.POINTER(ctypes.c_int32)
        #: The instruction sets, with the widest vectors first.
        self.instruction_sets = tuple(map(self._describe, range(self._library.kernels_num_instruction_sets())))

    def widths(self, instruction_set: str, rows: int) -> tuple[int, ...]:
        """Numbers of vectors that a sparse kernel with blocks of ``rows`` outputs computes at a time, largest first."""
        _check(rows in ROWS, f"blocks of {rows} outputs", ROWS)
        found = self._library.kernels_sparse_widths(self._index(instruction_set), rows)
        return tuple(iter(iter(found).__next__, 0))

    def sparse(
        self,
        weights: SparseWeights,
        bias: Floats,
        x: Floats,
        *,
        instruction_set: str,
        width: int,
        activation: str = "none",
        channels_last: bool = False,
    ) -> Prepared:
        """Prepare a 1×1 convolution of x ``(N, inputs, …)`` to ``(N, outputs, …)``.

        With ``channels_last`` it maps ``(…, inputs)`` to ``(…, outputs)``.
        """
        index = self._index(instruction_set)
        widths = self.widths(instruction_set, weights.rows)
        _check(width in widths, f"width {width}", widths)
        _check_weights(weights)
        _check_floats("bias", bias, (weights.outputs,))
        shape = x.shape
        channels = shape[-1 if channels_last else 1] if len(shape) > 1 else None
        _check(channels == weights.inputs, f"x {shape}", [f"{weights.inputs} channels, in at least two dimensions"])
        _check_floats("x", x, shape)
        out = (*shape[:-1], weights.outputs) if channels_last else (shape[0], weights.outputs, *shape[2:])
        y = np.empty(out, np.float32)
        batch = 1 if channels_last else shape[0]
        pixels = ctypes.c_int64(x.size // weights.inputs // max(1, batch))
        layer = _SparseLayer(
            weights.outputs, weights.inputs, weights.rows, _activation(activation), channels_last,
            *map(_address, (weights.starts, weights.columns, weights.values, bias)),
        )  # fmt: skip
        arguments = (ctypes.byref(layer), _address(x), _address(y), ctypes.c_int64(batch), pixels)
        return Prepared(self._library.kernels_sparse, (index, width, *arguments), y, (weights, bias, x))

    def depthwise(
        self,
        weight: Floats,
        bias: Floats,
        x: Floats,
        *,
        instruction_set: str,
        stride: int = 1,
        pads_begin: tuple[int, int] = (0, 0),
        pads_end: tuple[int, int] = (0, 0),
        activation: str = "none",
        method: Method = "pixels",
    ) -> Prepared:
        """Prepare a convolution of each channel of x ``(N, C, H, W)`` with its kernel of weight ``(C, height, width)``.

        ``method`` is ``pixels`` or ``channels`` for sums of products in vectors of pixels or of channels, or
        ``fourier`` for Fourier transforms, which are used only if stride and sizes allow it.
        """
        index = self._index(instruction_set)
        _check(method in METHODS, f"method {method!r}", METHODS)
        _check(weight.ndim == 3 and weight.size > 0, f"weight {weight.shape}", ["(C, height, width), not empty"])
        _check(x.ndim == 4 and x.shape[1] == len(weight), f"x {x.shape}", [f"(N, {len(weight)}, H, W)"])
        _check_floats("weight", weight, weight.shape)
        _check_floats("x", x, x.shape)
        _check_floats("bias", bias, (len(weight),))
        settings = (stride, *pads_begin, *pads_end)
        limits = "stride at least 1, and pads at least 0, all below 2**31"
        _check(stride > 0 and min(settings) >= 0 and max(settings) <= _LARGEST, f"stride and pads {settings}", [limits])
        out_height, out_width = (
            (size + begin + end - kernel) // stride + 1
            for size, begin, end, kernel in zip(x.shape[2:], pads_begin, pads_end, weight.shape[1:], strict=True)
        )
        _check(min(out_height, out_width) > 0, f"x {x.shape}", [f"padded, at least the kernel's {weight.shape[1:]}"])
        y = np.empty((*x.shape[:2], out_height, out_width), np.float32)
        layer = _DepthwiseLayer(
            *x.shape[1:], *weight.shape[1:], stride, *pads_begin, out_height, out_width, _activation(activation),
            False, False, method == "channels", _address(weight), _address(bias), None,
        )  # fmt: skip
        spectrum = self._spectrum(index, layer) if method == "fourier" else None
        if spectrum is not None:
            layer.spectrum = _address(spectrum)
        arguments = (ctypes.byref(layer), _address(x), _address(y), ctypes.c_int64(len(x)))
        return Prepared(self._library.kernels_depthwise, (index, *arguments), y, (weight, bias, x, spectrum))

    def multiply_adds(self, instruction_set: str, steps: int) -> int:
        """Multiply and add in registers for ``steps`` steps, at a core's full speed; returns the multiply-adds done."""
        _check(0 <= steps <= _LARGEST, f"{steps} steps", ["0 to 2**31 - 1"])
        return int(self._library.kernels_multiply_adds(self._index(instruction_set), ctypes.c_int64(steps)))

    def _spectrum(self, index: int, layer: _DepthwiseLayer) -> Floats | None:
        """The spectrum of the layer's weights, aligned to a cache line; None if Fourier transforms do not apply."""
        size = self._library.kernels_spectrum_size(index, ctypes.byref(layer))
        if size == 0:
            return None
        memory = np.empty(size + _LINE, np.float32)
        start = -memory.ctypes.data // memory.itemsize % _LINE
        found = memory[start : start + size]
        self._library.kernels_write_spectrum(index, ctypes.byref(layer), _address(found))
        return found

    def _describe(self, index: int) -> InstructionSet:
        name = self._library.kernels_instruction_set_name(index).decode()
        lanes = self._library.kernels_instruction_set_lanes(index)
        return InstructionSet(name, lanes, bool(self._library.kernels_instruction_set_available(index)))

    def _index(self, name: str) -> int:
        available = [found.name for found in self.instruction_sets if found.available]
        _check(name in available, f"instruction set {name!r}", available)
        return [found.name for found in self.instruction_sets].index(name)


def _check(is_right: bool, found: str, allowed: Iterable[Any]) -> None:
    if not is_right:
        raise MeasureError(f"kernels: {found}; allowed here: {', '.join(map(str, allowed))}")


def _check_floats(name: str, array: Floats, shape: tuple[int, ...]) -> None:
    """Check that C can read ``array`` as contiguous floats of this shape."""
    allowed = f"float32 {shape}, contiguous, at most 2**31 - 1 numbers"
    is_right = array.dtype == np.float32 and array.flags.c_contiguous and array.shape == shape
    _check(is_right and math.prod(shape) <= _LARGEST, f"{name} {array.dtype} {array.shape}", [allowed])


def _check_weights(weights: SparseWeights) -> None:
    """Check that sparse weights refer only to existing inputs and entries."""
    starts, columns = weights.starts, weights.columns
    _check(min(weights.outputs, weights.inputs) > 0, f"weights ({weights.outputs}, {weights.inputs})", ["not empty"])
    blocks, entries = -(-weights.outputs // weights.rows), len(columns)
    for name, array, size in (("starts", starts, blocks + 1), ("columns", columns, entries)):
        is_right = array.dtype == np.int32 and array.flags.c_contiguous and array.shape == (size,)
        _check(is_right, f"{name} {array.dtype} {array.shape}", [f"int32 ({size},), contiguous"])
    _check_floats("values", weights.values, (entries * weights.rows,))
    rises = starts[0] == 0 and starts[-1] == entries and bool((np.diff(starts) >= 0).all())
    _check(rises, "starts that are not ascending", [f"from 0 to the {entries} entries"])
    is_input = not entries or (columns.min() >= 0 and columns.max() < weights.inputs)
    _check(bool(is_input), "columns that are not inputs", [f"0 to {weights.inputs - 1}"])


def _activation(name: str) -> int:
    _check(name in ACTIVATIONS, f"activation {name!r}", ACTIVATIONS)
    return ACTIVATIONS.index(name)


def _address(array: np.ndarray[Any, Any]) -> ctypes.c_void_p:
    return ctypes.c_void_p(array.ctypes.data)
