"""Identities and dropout, which a deployed network does not compute."""

from __future__ import annotations

import nas.torchvision_fix  # noqa: F401  isort: skip
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from timm.layers import DropPath
from torch import Tensor, nn
from torch.nn import functional as F

from nas.ops import Call, Channels, Example, Integer, Op, Shape
from nas.space.slot import Skipped

if TYPE_CHECKING:
    from nas.export.onnx_graph import OnnxGraph


class IdentityOp(Op):
    """``nn.Identity``, and dropout of values, channels and whole branches (timm's ``DropPath``).

    Dropout above zero changes what is learned, so it is part of a candidate's identity; a deployed file does not
    contain it.
    """

    targets = (nn.Identity, Skipped, nn.Dropout, nn.Dropout2d, DropPath, F.dropout, F.dropout2d)

    def shape(self, call: Call) -> Shape | None:
        """The shape of the input."""
        return call.input_shapes[0]

    def transparent(self, call: Call) -> bool:
        """``nn.Identity``, and dropout with probability zero."""
        return self._rate(call) == 0

    def channels(self, call: Call) -> Channels:
        """See ``Op.channels``."""
        return "same"

    def integer(self, call: Call) -> Integer:
        """See ``Op.integer``."""
        return "same"

    def emit(self, graph: OnnxGraph, call: Call, inputs: Sequence[str]) -> str:
        """No node: the input is the result."""
        return inputs[0]

    def attributes(self, call: Call) -> dict[str, Any]:
        """See ``Op.attributes``."""
        module = call.module
        if isinstance(module, DropPath):
            return {"rate": self._rate(call), "drops": "branches", "rescales": module.scale_by_keep}
        channels = isinstance(module, nn.Dropout2d) or call.node.target is F.dropout2d
        return {"rate": self._rate(call), "drops": "channels" if channels else "values"}

    def examples(self) -> Sequence[Example]:
        """See ``Op.examples``."""
        modules: dict[str, nn.Module] = {
            "identity": nn.Identity(),
            "skipped": Skipped(nn.Conv2d(3, 3, 1)),
            "dropout": nn.Dropout(0.3),
            "dropout2d": nn.Dropout2d(0.2),
            "drop_path": DropPath(0.2),
            "drop_path_of_nothing": DropPath(0.0),
        }
        modules |= {"function": _Function()}
        return [Example(name, nn.Sequential(module), (2, 3, 4, 5)) for name, module in modules.items()]

    @staticmethod
    def _rate(call: Call) -> float:
        if isinstance(call.module, DropPath):
            return float(call.module.drop_prob)
        if call.module is not None:
            return float(getattr(call.module, "p", 0.0))
        return float(call.argument(1, "p", 0.5))


class _Function(nn.Module):
    def forward(self, inputs: Tensor) -> Tensor:
        return F.dropout(inputs, 0.4, self.training)
