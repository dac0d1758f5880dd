"""Resizing feature maps."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import torch
from torch import nn
from torch.nn import functional

from nas.errors import ExportError
from nas.ops import Call, Example, Op

if TYPE_CHECKING:
    from nas.export.onnx_graph import OnnxGraph

#: torch's mode → (ONNX mode, rounding of nearest).
_MODES = {"nearest": ("nearest", "floor"), "bilinear": ("linear", "floor")}


class ResizeOp(Op):
    """``nn.Upsample`` and ``functional.interpolate``, nearest and bilinear."""

    targets = (nn.Upsample, functional.interpolate)

    def emit(self, graph: OnnxGraph, call: Call, inputs: Sequence[str]) -> str:
        """A Resize by the factors of the shapes."""
        mode, align = _settings(call)
        if mode not in _MODES:
            raise ExportError(f"resizing with mode {mode!r} has no emitter; use {' or '.join(_MODES)}")
        name, rounding = _MODES[mode]
        transform = "align_corners" if align else "asymmetric" if mode == "nearest" else "half_pixel"
        scales = [new / old for new, old in zip(call.output_shape[2:], call.input_shapes[0][2:], strict=True)]
        factors = graph.floats([1.0, 1.0, *scales])
        return graph.node(
            "Resize",
            [inputs[0], "", factors],
            mode=name,
            coordinate_transformation_mode=transform,
            nearest_mode=rounding,
        )

    def attributes(self, call: Call) -> dict[str, Any]:
        """How it interpolates."""
        mode, align = _settings(call)
        return {"mode": mode, "align_corners": align}

    def examples(self) -> Sequence[Example]:
        """Both modes, by factor and by size."""
        shape = (2, 3, 4, 5)
        return [
            Example("nearest", nn.Upsample(scale_factor=2), shape),
            Example("bilinear", nn.Upsample(scale_factor=2, mode="bilinear"), shape),
            Example("size", nn.Upsample(size=(12, 15), mode="bilinear", align_corners=True), shape),
            Example("function", _Interpolate(), shape),
        ]


class _Interpolate(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return functional.interpolate(x, size=(8, 10), mode="bilinear")


def _settings(call: Call) -> tuple[str, bool]:
    if isinstance(call.module, nn.Upsample):
        return call.module.mode, bool(call.module.align_corners)
    names = ("input", "size", "scale_factor", "mode", "align_corners")
    arguments = dict(zip(names, call.node.args, strict=False)) | dict(call.node.kwargs)
    return str(arguments.get("mode", "nearest")), bool(arguments.get("align_corners"))
