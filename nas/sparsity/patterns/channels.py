"""Whole output channels."""

from __future__ import annotations

from torch import Tensor

from nas.sparsity import Pattern, Shape


class Channels(Pattern):
    """Output channels, with all that reads them: removed from the network when it is finalised.

    Layers whose outputs are added or multiplied lose the same channels (``nas.sparsity.channel_groups``): those that
    are weakest in all of them, at the largest of their densities, and only if all of them chose this pattern.
    """

    structure = "structured"

    def acts_on(self, shape: Shape) -> bool:
        """On every weight; a depthwise one loses the channels its input loses."""
        return True

    def pools(self, weight: Tensor) -> list[Tensor]:
        """One group of rows."""
        return [weight.flatten(1).unsqueeze(0)]


CHANNELS = Channels()
