"""Resizing of maps: nearest and bilinear."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from torch import Tensor, nn
from torch.nn import functional as F

from nas.ops import Call, Channels, Example, Integer, Op

if TYPE_CHECKING:
    from nas.export.onnx_graph import OnnxGraph


class ResizeOp(Op):
    """``nn.Upsample`` and ``F.interpolate`` of maps, to a size or by a factor."""

    targets = (nn.Upsample, nn.UpsamplingNearest2d, nn.UpsamplingBilinear2d, F.interpolate)

    def covers(self, call: Call) -> bool:
        """Nearest and bilinear only, without antialiasing, and to a whole number of pixels."""
        if len(call.input_shapes[0]) != 4 or _setting(call, 6, "antialias", False):
            return False
        return self.attributes(call)["mode"] in ("nearest", "bilinear") and self._whole(call)

    def transparent(self, call: Call) -> bool:
        """Resizing a map to the size that it has already."""
        return call.output_shape == call.input_shapes[0] and self._whole(call)

    def channels(self, call: Call) -> Channels:
        """See ``Op.channels``."""
        return "same"

    def integer(self, call: Call) -> Integer:
        """``same`` for nearest, which only moves values."""
        return "same" if self.attributes(call)["mode"] == "nearest" else "float"

    def emit(self, graph: OnnxGraph, call: Call, inputs: Sequence[str]) -> str:
        """One ``Resize`` to the whole shape of the output.

        It has no attribute ``axes``: with it, ONNX Runtime can't open a file that has the ``Resize`` between integers.
        """
        settings = self.attributes(call)
        size = graph.constant(np.array(call.output_shape, dtype=np.int64))
        operands = [inputs[0], "", "", size]
        if settings["mode"] == "nearest":
            rule = {
                "mode": "nearest",
                "nearest_mode": "floor",
                "coordinate_transformation_mode": "asymmetric",
            }
        else:
            corners = "align_corners" if settings["align_corners"] else "half_pixel"
            rule = {"mode": "linear", "coordinate_transformation_mode": corners}
        return graph.node("Resize", operands, **rule)

    def attributes(self, call: Call) -> dict[str, Any]:
        """See ``Op.attributes``; the size is the output's shape."""
        mode = _setting(call, 3, "mode", "nearest")
        return {"mode": mode, "align_corners": bool(_setting(call, 4, "align_corners", None))}

    def examples(self) -> Sequence[Example]:
        """See ``Op.examples``."""
        settings: dict[str, nn.Module] = {
            "nearest_double": nn.Upsample(scale_factor=2),
            "nearest_size": nn.Upsample((7, 11)),
            "bilinear_double": nn.Upsample(scale_factor=2, mode="bilinear"),
            "bilinear_smaller": nn.Upsample((3, 2), mode="bilinear"),
            "bilinear_corners": nn.Upsample((9, 7), mode="bilinear", align_corners=True),
            "function": _Function((8, 3)),
        }
        return [Example(name, nn.Sequential(module), (2, 3, 4, 5)) for name, module in settings.items()]

    @staticmethod
    def _whole(call: Call) -> bool:
        factor = _setting(call, 2, "scale_factor", None)
        if factor is None or _setting(call, 5, "recompute_scale_factor", None):
            return True
        factors = factor if isinstance(factor, tuple | list) else (factor, factor)
        sizes = zip(call.input_shapes[0][2:], factors, call.output_shape[2:], strict=True)
        return all(before * scale == after for before, scale, after in sizes)


class _Function(nn.Module):
    def __init__(self, size: tuple[int, int]) -> None:
        super().__init__()
        self.size = size

    def forward(self, inputs: Tensor) -> Tensor:
        return F.interpolate(inputs, size=self.size, mode="bilinear", align_corners=False)


def _setting(call: Call, position: int, name: str, default: Any) -> Any:
    return getattr(call.module, name, default) if call.module is not None else call.argument(position, name, default)
