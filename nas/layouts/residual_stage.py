"""A stage of residual functions in a layout."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor, nn

from nas.layouts import Layout
from nas.space.slot import Skipped


class ResidualStage(nn.Module):
    """Residual functions under their slots' names; a skipped slot adds nothing.

    Args:
        layout: how they are arranged.
        slots: name → function from ``(N, C, H, W)`` to the same shape, or ``Skipped``.
    """

    def __init__(self, layout: Layout, slots: Mapping[str, nn.Module]) -> None:
        super().__init__()
        self._layout = layout
        for name, function in slots.items():
            self.add_module(name, function)

    def forward(self, inputs: Tensor) -> Tensor:
        """``(N, C, H, W)`` → ``(N, C, H, W)``."""
        return self._layout.arrange([slot for slot in self.children() if not isinstance(slot, Skipped)], inputs)
