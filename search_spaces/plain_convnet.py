"""Plain convolutional networks without branches, after SimpleNet (Hasanpour et al. 2016, "Lets keep it simple")."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial

from torch import nn

from nas.errors import PlanError
from nas.papers import Paper
from nas.space import Chooser, SearchSpace, Value, slot
from nas.tasks import Task

KERNELS = (1, 3, 5, 7)
#: Kinds of down-sampling, the cheapest first: strides in the stem too; a stride in the first convolution of each stage;
#: max-pooling before each stage.
STRIDE_MODES = ("early", "stride", "pool")


@dataclass(frozen=True)
class Preset:
    """Depths and options of a preset."""

    #: Largest number of convolutions in each stage.
    depths: tuple[int, ...]
    widths: tuple[int, ...]
    dropouts: tuple[float, ...]


PRESETS = {
    "small": Preset((2, 2, 2, 1), (8, 16, 24, 32, 48), (0.0, 0.1, 0.2)),
    "paper": Preset((4, 3, 2, 3, 1), (32, 64, 96, 100, 128, 256, 512, 2048), (0.0, 0.1, 0.2, 0.3)),
}


class PlainConvNet(SearchSpace):
    """Convolutions without branches, after SimpleNet (Hasanpour et al. 2016).

    Stages of [convolution, batch norm, ReLU] follow one another, with down-sampling between them and a global pooling
    at the end.

    Choices: the kind of down-sampling, dropout, the depth of each stage, and width and kernel (1, 3, 5, 7) of each
    convolution. Slots beyond the depth of a stage are identities. Published networks are in ``PUBLISHED``.

    Differences from the paper: strides can replace poolings; there are only as many down-samplings as leave 2×2 pixels,
    because four poolings do not fit an 8×8 image; a kernel whose outer weights could only reach padding (k > 2·size −
    1) is replaced by the largest that reaches pixels.

    Args:
        preset: ``small`` (4 stages, 8–48 channels) or ``paper`` (5 stages, 32–2048 channels).
    """

    paper = Paper(
        35,
        "SimpleNet (Hasanpour et al. 2016)",
        "tests/unit/search_spaces/test_plain_convnet.py::test_published_parameter_counts",
    )

    def __init__(self, preset: str = "small") -> None:
        if preset not in PRESETS:
            raise PlanError(f"plain_convnet: preset {preset!r}; allowed: {', '.join(PRESETS)}")
        self.preset = PRESETS[preset]

    def build(self, chooser: Chooser, task: Task) -> nn.Module:
        """See ``SearchSpace.build``."""
        mode = str(chooser.choose("stride_mode", STRIDE_MODES, ordered=True))
        dropout = float(chooser.choose("dropout", self.preset.dropouts))  # type: ignore[arg-type]
        channels, height, width = task.input_shape
        plan = _Downsampling(min(height, width), mode)
        stages: OrderedDict[str, nn.Module] = OrderedDict()
        for number, max_depth in enumerate(self.preset.depths, 1):
            stage, channels = self._stage(chooser, f"stage{number}", max_depth, channels, plan, dropout)
            stages[f"stage{number}"] = stage
        stages["head"] = task.head(channels, plan.reduction, pool="max", dropout=dropout)
        model = nn.Sequential(stages)
        model.apply(_initialise)
        return model

    def _stage(
        self, chooser: Chooser, name: str, max_depth: int, channels: int, plan: _Downsampling, dropout: float
    ) -> tuple[nn.Module, int]:
        depth = int(chooser.choose(f"{name}.depth", range(1, max_depth + 1), ordered=True, site=name))  # type: ignore[arg-type]
        pool, stride = plan.enter(first=name == "stage1")
        slots: OrderedDict[str, nn.Module] = OrderedDict()
        slots["pool"] = nn.MaxPool2d(2) if pool else nn.Identity()
        for index in range(1, max_depth + 1):
            place, active = f"{name}.conv{index}", index <= depth
            width = int(
                chooser.choose(f"{place}.width", self.preset.widths, ordered=True, active=active, site=place)  # type: ignore[arg-type]
            )
            kernel = int(chooser.choose(f"{place}.kernel", KERNELS, ordered=True, active=active, site=place))  # type: ignore[arg-type]
            step = stride if index == 1 else 1
            block = partial(_block, channels, width, min(kernel, plan.largest_kernel(step)), step)
            slots[f"conv{index}"] = slot(block, active=active)
            channels = width if active else channels
        slots["dropout"] = nn.Dropout(dropout) if dropout else nn.Identity()
        return nn.Sequential(slots), channels


class _Downsampling:
    """Decides where and how the map is halved, so that at least 2×2 pixels remain."""

    def __init__(self, size: int, mode: str) -> None:
        self.size = size
        self.mode = mode
        self.reduction = 1

    def enter(self, *, first: bool) -> tuple[bool, int]:
        """Whether the next stage starts with a pooling, and the stride of its first convolution."""
        wanted = self.mode == "early" if first else True
        if not wanted or self.size < 4:
            return False, 1
        # A strided convolution with padding rounds the size up; a pooling rounds it down.
        pooled = self.mode == "pool"
        self.size = self.size // 2 if pooled else -(-self.size // 2)
        self.reduction *= 2
        return pooled, 1 if pooled else 2

    def largest_kernel(self, stride: int) -> int:
        return 2 * self.size * stride - 1


def _block(inputs: int, outputs: int, kernel: int, stride: int) -> nn.Module:
    return nn.Sequential(
        OrderedDict(
            conv=nn.Conv2d(inputs, outputs, kernel, stride, padding=kernel // 2),
            norm=nn.BatchNorm2d(outputs, momentum=0.05),
            activation=nn.ReLU(),
        )
    )


def _initialise(module: nn.Module) -> None:
    if isinstance(module, nn.Conv2d):
        nn.init.xavier_uniform_(module.weight, gain=nn.init.calculate_gain("relu"))


def _published(*stages: tuple[tuple[int, int], ...]) -> Mapping[str, Value]:
    choices: dict[str, Value] = {"stride_mode": "pool", "dropout": 0.0}
    for number, stage in enumerate(stages, 1):
        choices[f"stage{number}.depth"] = len(stage)
        for index, (width, kernel) in enumerate(stage, 1):
            choices[f"stage{number}.conv{index}.width"] = width
            choices[f"stage{number}.conv{index}.kernel"] = kernel
    return choices


#: Number of parameters → choices of preset ``paper``: the CIFAR-10 networks of the official repository.
PUBLISHED: Mapping[int, Mapping[str, Value]] = {
    312_362: _published(
        ((64, 3), (32, 3), (32, 3), (32, 3)),
        ((32, 3), (32, 3), (64, 3)),
        ((64, 3), (64, 3)),
        ((128, 3), (256, 1), (64, 1)),
        ((64, 3),),
    ),
    385_790: _published(
        ((32, 3), (32, 3), (32, 3), (64, 3)),
        ((64, 3), (64, 3), (64, 3)),
        ((64, 3), (64, 3)),
        ((96, 3), (96, 1), (96, 1)),
        ((100, 3),),
    ),
    5_498_378: _published(
        ((64, 3), (128, 3), (128, 3), (128, 3)),
        ((128, 3), (128, 3), (256, 3)),
        ((256, 3), (256, 3)),
        ((512, 3), (2048, 1), (256, 1)),
        ((256, 3),),
    ),
}
