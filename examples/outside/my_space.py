"""A search space of your own: depth, widths and activation."""

from __future__ import annotations

from collections import OrderedDict
from functools import partial

from my_op import Sine
from torch import nn

from nas.errors import PlanError
from nas.space import Chooser, SearchSpace, slot
from nas.tasks import Task

WIDTHS = (8, 16, 32, 64)


class PointNet(SearchSpace):
    """Layers over the channels of each pixel (1×1 convolutions), ReLU or sine between them.

    Choices: depth; activation of the whole network; for each layer its width (8–64). 168 networks with
    ``max_depth`` 3. No paper: small on purpose, to be read in a minute.

    Args:
        max_depth: most layers, at least 1.
    """

    def __init__(self, max_depth: int = 3) -> None:
        if max_depth < 1:
            raise PlanError(f"PointNet: max_depth {max_depth!r}; at least 1")
        self.max_depth = max_depth

    def build(self, chooser: Chooser, task: Task) -> nn.Module:
        """See ``SearchSpace.build``."""
        bend = {"relu": nn.ReLU, "sine": Sine}[str(chooser.choose("activation", ("relu", "sine")))]
        depth = chooser.choose("depth", range(1, self.max_depth + 1), ordered=True)
        channels = task.input_shape[0]
        slots: OrderedDict[str, nn.Module] = OrderedDict()
        for index in range(1, self.max_depth + 1):
            # The questions of skipped layers are asked too, so that a sampler sees the same questions every time.
            active = index <= int(depth)  # type: ignore[arg-type]
            width = int(chooser.choose(f"layer{index}.width", WIDTHS, ordered=True, active=active))  # type: ignore[arg-type]
            slots[f"layer{index}"] = slot(partial(_layer, channels, width, bend), active=active)
            channels = width if active else channels
        slots["head"] = task.head(channels, 1)
        return nn.Sequential(slots)


def _layer(inputs: int, outputs: int, bend: type[nn.Module]) -> nn.Module:
    return nn.Sequential(nn.Conv2d(inputs, outputs, 1), nn.BatchNorm2d(outputs), bend())
