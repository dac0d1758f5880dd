"""Pattern of whole output channels."""

from __future__ import annotations

from torch import Tensor

from nas.sparsity import Pattern, Shape


class Channels(Pattern):
    """Output channels, together with the weights of later layers that read them; they are removed from the network.

    A density of 0.5 keeps half of the channels of every layer: a layer whose inputs are halved too keeps a quarter of
    its weights. Layers whose outputs are added or multiplied lose the same channels (``nas.sparsity.channel_groups``):
    those that are weakest over all of these layers, at the largest of their densities, and only if all of them chose
    this pattern. Channels are kept if they reach the network's output, a concatenation, or an op that does not say how
    channels pass through it.
    """

    structure = "structured"

    def acts_on(self, shape: Shape) -> bool:
        """True for every weight; a depthwise weight loses the channels that its input loses."""
        return True

    def pools(self, weight: Tensor) -> list[Tensor]:
        """One group, whose atoms are the rows."""
        return [weight.flatten(1).unsqueeze(0)]


CHANNELS = Channels()
