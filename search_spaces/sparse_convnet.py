"""Inverted residuals whose 1×1 convolutions can be sparse, after Fast Sparse ConvNets (Elsen et al. 2020)."""

from __future__ import annotations

import nas.torchvision_fix  # noqa: F401  isort: skip
import math
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import TypeVar, cast

from timm.layers import SqueezeExcite
from torch import nn

from nas.errors import PlanError
from nas.layers.sparse import SparseConv2d
from nas.layers.ulsam import Ulsam
from nas.layouts import LAYOUTS, Layout
from nas.layouts.residual_stage import ResidualStage
from nas.papers import Paper
from nas.space import Chooser, SearchSpace, Site, Value, slot
from nas.space.site import find_sites
from nas.tasks import Task

#: Numbers of groups in the subspace attention of a stage; 0 means no attention.
ULSAM_GROUPS = (0, 1, 2, 4, 8, 16)
LAYOUT_NAMES = ("serial", "parallel")
#: Hidden channels of squeeze-and-excitation per input channel of the block, as in EfficientNet.
SE_RATIO = 0.25

T = TypeVar("T", bool, int, float)


@dataclass(frozen=True)
class Stage:
    """Options of a stage; the first block has the stride."""

    max_depth: int
    widths: tuple[int, ...]
    stride: int


@dataclass(frozen=True)
class Preset:
    """Options of a preset."""

    stem_widths: tuple[int, ...]
    stages: tuple[Stage, ...]
    last_widths: tuple[int, ...]
    expansions: tuple[int, ...]
    kernels: tuple[int, ...]
    dropouts: tuple[float, ...]
    #: Momentum of batch norms. Small networks are trained for few steps, so their averages must follow quickly.
    norm_momentum: float


PRESETS = {
    "small": Preset(
        stem_widths=(8, 16),
        stages=(Stage(2, (8, 16), 1), Stage(3, (16, 24, 32), 2), Stage(3, (24, 32, 48), 2)),
        last_widths=(64, 96, 128),
        expansions=(1, 2, 4),
        kernels=(3, 5),
        dropouts=(0.0, 0.1),
        norm_momentum=0.3,
    ),
    "wide": Preset(
        stem_widths=(16, 24),
        stages=(Stage(1, (32, 48, 64), 2), Stage(2, (96, 128, 160), 2)),
        last_widths=(384, 512, 768),
        expansions=(4, 6),
        kernels=(3, 5),
        dropouts=(0.0, 0.1),
        norm_momentum=0.3,
    ),
    "mobile": Preset(
        stem_widths=(16, 24, 32, 40, 48),
        stages=(
            Stage(1, (8, 16, 24), 1),
            Stage(3, (16, 24, 32, 40), 2),
            Stage(3, (24, 32, 40, 56), 2),
            Stage(4, (48, 64, 80, 112), 2),
            Stage(3, (64, 96, 112, 136), 1),
            Stage(4, (112, 160, 192, 224), 2),
            Stage(1, (192, 320, 448), 1),
        ),
        last_widths=(640, 1280, 1792),
        expansions=(1, 3, 6),
        kernels=(3, 5, 7),
        dropouts=(0.0, 0.2),
        norm_momentum=0.1,
    ),
}


class SparseConvNet(SearchSpace):
    """Inverted residuals whose 1×1 convolutions can be sparse, after Fast Sparse ConvNets (Elsen et al. 2020).

    A block expands by a 1×1 convolution, filters by a depthwise one and projects by another 1×1 convolution.
    MobileNetV2 and, with ReLU6, the shape of EfficientNet-B0 are in the preset ``mobile`` (``PUBLISHED``). Weight
    sparsity acts on the 1×1 convolutions only, as in the paper.

    Choices: the widths of stem and last convolution, and dropout; for each stage its depth, width, layout, and the
    groups of the subspace attention (``ulsam``) behind it; for each block its expansion, its depthwise kernel, and
    whether it has squeeze-and-excitation. The space has 1e14 networks with the preset ``small``, 2e6 with ``wide`` and
    2e36 with ``mobile``.

    Differences from the paper: blocks of output channels that share a pattern are an option of the policy ``sparsity``;
    the first block of a stage never has a shortcut, all others have one; there are only as many down-samplings as leave
    2×2 pixels; a kernel whose outer weights could only reach padding (k > 2·size − 1) is replaced by the largest that
    reaches pixels.

    Args:
        preset: ``small`` (3 stages, up to 48 channels), ``wide`` (2 stages, up to 160 channels, 960 in blocks) or
            ``mobile`` (7 stages, up to 448 channels).
        kept: fractions of weights to keep in the 1×1 convolutions. With several fractions, each stage chooses one, and
            learnt scores decide which weights stay (DASS); the policy ``sparsity`` then leaves these layers alone.

    Raises:
        PlanError: an unknown preset; ``kept`` is empty, or has a fraction outside (0, 1] or one that repeats.
    """

    paper = Paper(
        8,
        "Fast Sparse ConvNets (Elsen et al. 2020)",
        "tests/unit/search_spaces/test_sparse_convnet.py::test_published_parameter_counts",
    )

    def __init__(self, preset: str = "small", kept: Sequence[float] = (1.0,)) -> None:
        if preset not in PRESETS:
            raise PlanError(f"sparse_convnet: preset {preset!r}; allowed: {', '.join(PRESETS)}")
        if not kept or len(set(kept)) != len(kept) or not all(0.0 < fraction <= 1.0 for fraction in kept):
            raise PlanError(f"sparse_convnet: kept {list(kept)}; allowed: distinct fractions above 0, up to 1")
        self.preset = PRESETS[preset]
        self.kept = tuple(sorted(float(fraction) for fraction in kept))

    def build(self, chooser: Chooser, task: Task) -> nn.Module:
        """See ``SearchSpace.build``."""
        dropout = cast(float, chooser.choose("dropout", self.preset.dropouts))
        channels, height, width = task.input_shape
        plan = _Plan(channels, min(height, width))
        stages: OrderedDict[str, nn.Module] = OrderedDict()
        stages["stem"] = self._stem(chooser, plan)
        for number, stage in enumerate(self.preset.stages, 1):
            stages[f"stage{number}"] = self._stage(chooser, f"stage{number}", stage, plan)
        stages["last"] = self._last(chooser, plan)
        stages["head"] = task.head(plan.channels, plan.reduction, pool="avg", dropout=dropout)
        model = nn.Sequential(stages)
        model.apply(partial(_initialise, momentum=self.preset.norm_momentum))
        return model

    def sites(self, model: nn.Module) -> list[Site]:
        """All sites; weights are dense except those of 1×1 convolutions without a mask of their own."""
        return [
            replace(site, dense=self.kept != (1.0,) or not _is_pointwise(site)) if site.kind == "weight" else site
            for site in find_sites(model)
        ]

    @classmethod
    def examples(cls) -> Sequence[SearchSpace]:
        """See ``SearchSpace.examples``."""
        return [cls(), cls(kept=(0.2, 1.0))]

    def _stem(self, chooser: Chooser, plan: _Plan) -> nn.Module:
        width = _choose(chooser, "stem", "width", self.preset.stem_widths)
        inputs, stride = plan.channels, plan.enter(width, 2)
        return _layer(nn.Conv2d(inputs, width, 3, stride, padding=1, bias=False))

    def _last(self, chooser: Chooser, plan: _Plan) -> nn.Module:
        width, kept = _choose(chooser, "last", "width", self.preset.last_widths), self._kept(chooser, "last")
        inputs = plan.channels
        plan.enter(width, 1)
        return _layer(_pointwise(inputs, width, kept))

    def _stage(self, chooser: Chooser, name: str, stage: Stage, plan: _Plan) -> nn.Module:
        depth = _choose(chooser, name, "depth", range(1, stage.max_depth + 1))
        width = _choose(chooser, name, "width", stage.widths)
        kept = self._kept(chooser, name)
        blocks: OrderedDict[str, nn.Module] = OrderedDict()
        for index in range(1, stage.max_depth + 1):
            place, stride = f"{name}.block{index}", stage.stride if index == 1 else 1
            blocks[f"block{index}"] = self._block(chooser, place, width, stride, kept, plan, active=index <= depth)
        parts = OrderedDict(block1=blocks.pop("block1"))
        if blocks:
            parts["residual"] = ResidualStage(_layout(chooser, name, stage, depth), blocks)
        groups = _choose(chooser, name, "ulsam", ULSAM_GROUPS)
        parts["ulsam"] = slot(partial(Ulsam, width, math.gcd(groups, width)), active=groups > 0)
        return nn.Sequential(parts)

    def _block(
        self, chooser: Chooser, place: str, width: int, stride: int, kept: float, plan: _Plan, *, active: bool
    ) -> nn.Module:
        expansion = _choose(chooser, place, "expansion", self.preset.expansions, active=active)
        kernel = _choose(chooser, place, "kernel", self.preset.kernels, active=active)
        excite = _choose(chooser, place, "se", (False, True), active=active)
        inputs, kernel = plan.channels, min(kernel, plan.largest_kernel)
        stride = plan.enter(width, stride)
        return slot(partial(_block, inputs, width, expansion, kernel, stride, excite, kept), active=active)

    def _kept(self, chooser: Chooser, name: str) -> float:
        return _choose(chooser, name, "kept", self.kept)


@dataclass
class _Plan:
    """The feature map at the current place of the network."""

    channels: int
    #: Number of pixels of the shorter side.
    size: int
    reduction: int = 1

    @property
    def largest_kernel(self) -> int:
        """The largest kernel whose outer weights can touch more than padding."""
        return 2 * self.size - 1

    def enter(self, channels: int, stride: int) -> int:
        """Update the map for a layer; returns the stride that the layer may have so that 2×2 pixels remain."""
        stride = stride if self.size >= 2 * stride else 1
        self.channels, self.size, self.reduction = channels, -(-self.size // stride), self.reduction * stride
        return stride


def _choose(chooser: Chooser, place: str, what: str, options: Sequence[T], *, active: bool = True) -> T:
    """Ask an ordered question about a place if there is more than one option."""
    if len(options) == 1:
        return options[0]
    return cast(T, chooser.choose(f"{place}.{what}", options, ordered=True, active=active, site=place))


def _layout(chooser: Chooser, name: str, stage: Stage, depth: int) -> Layout:
    """The chosen layout; inactive with fewer than two residual blocks, which are the same network in every layout."""
    if stage.max_depth <= 2:
        return LAYOUTS.get(LAYOUT_NAMES[0])()
    return LAYOUTS.get(str(chooser.choose(f"{name}.layout", LAYOUT_NAMES, active=depth > 2, site=name)))()


def _block(inputs: int, outputs: int, expansion: int, kernel: int, stride: int, excite: bool, kept: float) -> nn.Module:
    hidden = inputs * expansion
    depthwise = nn.Conv2d(hidden, hidden, kernel, stride, padding=kernel // 2, groups=hidden, bias=False)
    squeezed = max(1, round(inputs * SE_RATIO))
    return nn.Sequential(
        OrderedDict(
            expand=slot(lambda: _layer(_pointwise(inputs, hidden, kept)), active=expansion > 1),
            depthwise=_layer(depthwise),
            se=slot(lambda: SqueezeExcite(hidden, rd_channels=squeezed), active=excite),
            project=_layer(_pointwise(hidden, outputs, kept), nn.Identity()),
        )
    )


def _pointwise(inputs: int, outputs: int, kept: float) -> nn.Conv2d:
    if kept == 1.0:
        return nn.Conv2d(inputs, outputs, 1, bias=False)
    return SparseConv2d(inputs, outputs, 1, bias=False, kept=kept)


def _layer(conv: nn.Conv2d, activation: nn.Module | None = None) -> nn.Module:
    """A convolution, a batch norm and, by default, a ReLU6."""
    norm = nn.BatchNorm2d(conv.out_channels)
    return nn.Sequential(OrderedDict(conv=conv, norm=norm, activation=activation or nn.ReLU6()))


def _is_pointwise(site: Site) -> bool:
    """Whether the site is a 1×1 convolution that may be sparse, decided by its slot."""
    path = site.module.split(".")
    return path[0] == "last" or path[-2] in ("expand", "project")


def _initialise(module: nn.Module, momentum: float) -> None:
    if isinstance(module, nn.Conv2d):
        nn.init.kaiming_normal_(module.weight, mode="fan_out")
    if isinstance(module, SparseConv2d):
        module.reset_scores()
    if isinstance(module, nn.BatchNorm2d):
        module.momentum = momentum


def _published(
    widths: Sequence[int], depths: Sequence[int], kernels: Sequence[int], *, excite: bool
) -> Mapping[str, Value]:
    """Choices of preset ``mobile`` from one number per stage; the first stage does not expand, the others by 6."""
    choices: dict[str, Value] = {"stem.width": 32, "last.width": 1280, "dropout": 0.2}
    stages = zip(PRESETS["mobile"].stages, widths, depths, kernels, strict=True)
    for number, (stage, width, depth, kernel) in enumerate(stages, 1):
        name = f"stage{number}"
        choices |= {f"{name}.width": width, f"{name}.ulsam": 0}
        choices |= {f"{name}.depth": depth} if stage.max_depth > 1 else {}
        choices |= {f"{name}.layout": "serial"} if depth > 2 else {}
        for index in range(1, depth + 1):
            place, expansion = f"{name}.block{index}", 1 if number == 1 else 6
            choices |= {f"{place}.expansion": expansion, f"{place}.kernel": kernel, f"{place}.se": excite}
    return choices


#: Number of parameters for the 1,000 classes of ImageNet → choices of preset ``mobile``: MobileNetV2 1.0, and
#: EfficientNet-B0 with ReLU6 in place of SiLU.
PUBLISHED: Mapping[int, Mapping[str, Value]] = {
    3_504_872: _published((16, 24, 32, 64, 96, 160, 320), (1, 2, 3, 4, 3, 3, 1), (3, 3, 3, 3, 3, 3, 3), excite=False),
    5_288_548: _published((16, 24, 40, 80, 112, 192, 320), (1, 2, 2, 3, 3, 4, 1), (3, 3, 5, 3, 5, 5, 3), excite=True),
}
