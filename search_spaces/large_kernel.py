"""Large depthwise kernels in the middle and at the end of a network, after UniRepLKNet and its design rules."""

from __future__ import annotations

import nas.torchvision_fix  # noqa: F401  isort: skip
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import cast

from timm.layers import LayerNorm2d, LayerScale2d, SEModule
from torch import Tensor, nn

from nas.errors import PlanError
from nas.layers.dilated_reparam import DilatedReparam
from nas.layers.global_response_norm import GlobalResponseNorm
from nas.layers.ls_conv import LSConv
from nas.layers.spartan import SpartanBlock
from nas.papers import Paper
from nas.space import Chooser, SearchSpace, Site, Value, slot
from nas.space.site import find_sites
from nas.tasks import Task

#: Sizes of depthwise kernels; 0 means no depthwise convolution.
KERNELS = (0, 3, 5, 7, 9, 11, 13, 15, 17, 21, 31)
#: Kernels from this size are large: they are trained beside dilated ones and are not used in the first stage.
LARGE = 7
MIXERS = ("depthwise", "ls_conv", "spartan")
#: Sizes of an LS convolution's large kernel, and dilations of a SpaRTAN block's second branch.
PERCEPTIONS = (5, 7, 9, 11)
DILATIONS = (1, 2, 3, 4)
#: Initial value of layer scales, as published.
START = 1e-6


@dataclass(frozen=True)
class Stage:
    """Options of a stage. It consists of units: a block whose mixer is chosen, followed by 3×3 blocks."""

    max_units: int
    #: Numbers of 3×3 blocks after the first block of each unit; they make a stage deeper.
    small_blocks: tuple[int, ...]
    widths: tuple[int, ...]
    #: The map is halved before the stage as long as its shorter side has more pixels than this.
    pixels: int


@dataclass(frozen=True)
class Preset:
    """Options of a preset."""

    #: The stem halves the map up to twice, as long as its shorter side has more pixels than this.
    stem_pixels: int
    stages: tuple[Stage, ...]
    expansions: tuple[int, ...]


_WIDTHS = (40, 48, 64, 80, 96)
PRESETS = {
    "small": Preset(
        8,
        (Stage(1, (0,), (8, 16), 8), Stage(2, (0,), (16, 24), 8), Stage(2, (0, 1), (16, 24, 32), 4)),
        (2, 3),
    ),
    "paper": Preset(
        2,
        tuple(
            Stage(units, small, tuple(width << index for width in _WIDTHS), 2)
            for index, (units, small) in enumerate([(3, (0,)), (3, (0,)), (9, (0, 1, 2)), (3, (0,))])
        ),
        (2, 3, 4),
    ),
}


class LargeKernel(SearchSpace):
    """UniRepLKNet's blocks under the rules of Scaling Up Your Kernels (Zhang et al. 2024).

    Large depthwise kernels are used after the first stage; each is trained beside small dilated kernels and ships as
    one convolution. Depth comes from 3×3 blocks. Blocks can have squeeze-and-excitation. UniRepLKNet-A, F, P, N, T and
    S are in this space (``PUBLISHED``). Weight sparsity acts on the 1×1 convolutions only, and not on those of
    squeeze-and-excitation.

    Choices of each stage: the number of units, 3×3 blocks per unit, width, expansion, and whether there is
    squeeze-and-excitation. Choices of each unit: the size of the depthwise kernel and, after the first stage, what
    mixes the pixels: this kernel, an LS convolution (LSNet) with its reach, or a SpaRTAN block with its dilation.

    The space has 1e8 networks with the preset ``small`` at 16 pixels, and 5e26 with ``paper`` at 224.

    Differences from the paper: the last norm comes before the pooling, so that heads without pooling have it too; there
    is no stochastic depth; a kernel is offered only if its outer weights can reach more than padding (k ≤ 2·size − 1);
    feature maps are halved only down to a smallest size.

    Args:
        preset: ``small`` (3 stages, up to 32 channels) or ``paper`` (4 stages, up to 768 channels).
        kernels: sizes of depthwise kernels to choose from, odd, or 0 for none; by default those of 0, 3, 5, …, 17, 21,
            31 whose outer weights can reach more than padding.
        mixers: mixers to choose from after the first stage: some of ``depthwise``, ``ls_conv`` and ``spartan``.

    Raises:
        PlanError: an unknown preset; kernels that are not odd (or 0), repeat, or fit no stage of the task's input; no
            mixers, unknown mixers, or mixers that repeat.
    """

    paper = Paper(
        19,
        "Scaling Up Your Kernels (Zhang et al. 2024)",
        "tests/unit/search_spaces/test_large_kernel.py::test_sampled_networks_keep_the_rules",
    )

    def __init__(
        self, preset: str = "small", kernels: Sequence[int] | None = None, mixers: Sequence[str] = MIXERS
    ) -> None:
        if preset not in PRESETS:
            raise PlanError(f"large_kernel: preset {preset!r}; allowed: {', '.join(PRESETS)}")
        if kernels is not None and (
            not kernels or len(set(kernels)) != len(kernels) or not all(map(_is_kernel, kernels))
        ):
            raise PlanError(f"large_kernel: kernels {list(kernels)}; allowed: distinct odd numbers from 3, and 0")
        if not mixers or len(set(mixers)) != len(mixers) or not set(mixers) <= set(MIXERS):
            raise PlanError(f"large_kernel: mixers {list(mixers)}; allowed: distinct ones of {', '.join(MIXERS)}")
        self.preset = PRESETS[preset]
        self.mixers = tuple(mixer for mixer in MIXERS if mixer in mixers)
        self.kernels = None if kernels is None else tuple(sorted(kernels))

    def build(self, chooser: Chooser, task: Task) -> nn.Module:
        """See ``SearchSpace.build``."""
        channels, height, width = task.input_shape
        maps = self._maps(min(height, width))
        self._check_fit(maps)
        stages: OrderedDict[str, nn.Module] = OrderedDict()
        for number, place in enumerate(maps, 1):
            stages[f"stage{number}"], channels = self._stage(chooser, number, place, channels)
        stages["norm"] = LayerNorm2d(channels)
        stages["head"] = task.head(channels, maps[-1].reduction, pool="avg")
        model = nn.Sequential(stages)
        model.apply(_initialise)
        return model

    def sites(self, model: nn.Module) -> list[Site]:
        """The same sites for all networks of the space, without the output channels of depthwise convolutions.

        All weights are dense except those of 1×1 convolutions outside squeeze-and-excitation.
        """
        return [
            replace(site, dense=site.dense or not _is_pointwise(site)) if site.kind == "weight" else site
            for site in find_sites(model)
            if not (site.kind == "channels" and site.module.endswith(".depthwise.conv"))
        ]

    def _maps(self, size: int) -> list[_Map]:
        """The maps of all stages for an input whose shorter side has ``size`` pixels."""
        maps: list[_Map] = []
        reduction = 1
        for index, stage in enumerate(self.preset.stages):
            strides = []
            for pixels in (self.preset.stem_pixels,) * 2 if index == 0 else (stage.pixels,):
                strides.append(2 if size > max(pixels, 2) else 1)
                size, reduction = -(-size // strides[-1]), reduction * strides[-1]
            maps.append(_Map(size, reduction, tuple(strides)))
        return maps

    def _check_fit(self, maps: Sequence[_Map]) -> None:
        """Raise PlanError if no stage can use one of the kernels that the plan asks for."""
        largest = max(place.largest_kernel for place in maps[1:])
        unfit = [kernel for kernel in self.kernels or () if kernel > largest]
        if unfit:
            raise PlanError(
                f"large_kernel: kernels {unfit} on maps of at most {(largest + 1) // 2} pixels a side: weights beyond "
                f"{largest}×{largest} only touch padding; allowed here: up to {largest}; take smaller kernels or "
                "larger images"
            )

    def _stage(self, chooser: Chooser, number: int, place: _Map, inputs: int) -> tuple[nn.Module, int]:
        name, stage = f"stage{number}", self.preset.stages[number - 1]
        units = _choose(chooser, name, "units", range(1, stage.max_units + 1))
        small = _choose(chooser, name, "small_blocks", stage.small_blocks)
        width = _choose(chooser, name, "width", stage.widths)
        expansion = _choose(chooser, name, "expansion", self.preset.expansions)
        mixers = [
            self._mixer(chooser, f"{name}.unit{index}", place, first=number == 1, active=index <= units)
            for index in range(1, stage.max_units + 1)
        ]
        excites = small > 0 or any(mixer.kind != "spartan" for mixer in mixers[:units])
        se = bool(chooser.choose(f"{name}.se", (False, True), ordered=True, active=excites, site=name))
        block = _Block(width, expansion, se, grouped=number > len(self.preset.stages) // 2)
        parts: OrderedDict[str, nn.Module] = OrderedDict(down=_down(inputs, width, place.strides))
        for index, mixer in enumerate(mixers, 1):
            unit = partial(block.unit, mixer, small if index <= units else 0, max(stage.small_blocks))
            parts[f"unit{index}"] = slot(unit, active=index <= units)
        return nn.Sequential(parts), width

    def _mixer(self, chooser: Chooser, name: str, place: _Map, *, first: bool, active: bool) -> _Mixer:
        kernels = place.fitting(self.kernels or KERNELS)
        if first:
            small = tuple(kernel for kernel in kernels if kernel < LARGE) or (3,)
            return _Mixer(MIXERS[0], kernel=_choose(chooser, name, "kernel", small, active=active))
        kind = self.mixers[0]
        if len(self.mixers) > 1:
            kind = str(chooser.choose(f"{name}.mixer", self.mixers, active=active, site=name))
        options = {
            "kernel": ("depthwise", kernels),
            "perception": ("ls_conv", place.fitting(PERCEPTIONS)),
            "dilation": ("spartan", range(1, min(max(DILATIONS), max(place.size - 1, 1)) + 1)),
        }
        sizes = {
            what: _choose(chooser, name, what, sizes, active=active and kind == mixer)
            for what, (mixer, sizes) in options.items()
            if mixer in self.mixers
        }
        return _Mixer(kind, **sizes)


class UniRepLKNetBlock(nn.Module):
    """Mixer, squeeze-and-excitation and a feed-forward part with response norm, in one scaled residual branch.

    The mixer is a depthwise convolution or an LS convolution; the slot of the other one is skipped.
    """

    def __init__(self, width: int, mixer: _Mixer, expansion: int, *, se: bool) -> None:
        super().__init__()
        self.depthwise = slot(partial(_depthwise, width, mixer.kernel), active=mixer.kind == "depthwise")
        self.ls_conv = slot(partial(LSConv, width, mixer.perception), active=mixer.kind == "ls_conv")
        self.se = slot(lambda: SEModule(width, rd_channels=width // 4), active=se)
        self.expand = nn.Conv2d(width, expansion * width, 1)
        self.activation = nn.GELU()
        self.response = GlobalResponseNorm(expansion * width)
        self.project = nn.Conv2d(expansion * width, width, 1, bias=False)
        self.norm = nn.BatchNorm2d(width)
        self.scale = LayerScale2d(width, START)

    def forward(self, inputs: Tensor) -> Tensor:
        """``(N, C, H, W)`` → ``(N, C, H, W)``."""
        mixed = self.se(self.ls_conv(self.depthwise(inputs)))
        hidden = self.response(self.activation(self.expand(mixed)))
        return inputs + cast(Tensor, self.scale(self.norm(self.project(hidden))))


@dataclass(frozen=True)
class _Map:
    """The map of a stage: its shorter side, its reduction relative to the input, and the strides before the stage."""

    size: int
    reduction: int
    strides: tuple[int, ...]

    @property
    def largest_kernel(self) -> int:
        """The largest kernel whose outer weights can touch more than padding."""
        return 2 * self.size - 1

    def fitting(self, kernels: Sequence[int]) -> tuple[int, ...]:
        """The kernels that fit the map; 3×3 if none does."""
        return tuple(kernel for kernel in kernels if kernel <= self.largest_kernel) or (3,)


@dataclass(frozen=True)
class _Mixer:
    """The mixer of a unit's first block, which mixes pixels; ``kind`` is one of ``MIXERS``."""

    kind: str
    kernel: int = 3
    perception: int = PERCEPTIONS[0]
    dilation: int = 1


@dataclass(frozen=True)
class _Block:
    """The properties that all blocks of a stage share."""

    width: int
    expansion: int
    se: bool
    grouped: bool

    def unit(self, mixer: _Mixer, small: int, max_small: int) -> nn.Module:
        """The block with the mixer and ``small`` 3×3 blocks after it, in ``max_small`` slots."""
        is_spartan = mixer.kind == "spartan"
        parts: OrderedDict[str, nn.Module] = OrderedDict()
        parts["unireplknet"] = slot(partial(self._unireplknet, mixer), active=not is_spartan)
        parts["spartan"] = slot(partial(self._spartan, mixer), active=is_spartan)
        for index in range(1, max_small + 1):
            parts[f"small{index}"] = slot(partial(self._unireplknet, _Mixer("depthwise")), active=index <= small)
        return nn.Sequential(parts)

    def _unireplknet(self, mixer: _Mixer) -> nn.Module:
        return UniRepLKNetBlock(self.width, mixer, self.expansion, se=self.se)

    def _spartan(self, mixer: _Mixer) -> nn.Module:
        return SpartanBlock(self.width, self.expansion, dilation=mixer.dilation, grouped=self.grouped)


def _is_kernel(kernel: object) -> bool:
    return (
        isinstance(kernel, int) and not isinstance(kernel, bool) and (kernel == 0 or (kernel >= 3 and kernel % 2 == 1))
    )


def _choose(chooser: Chooser, place: str, what: str, options: Sequence[int], *, active: bool = True) -> int:
    """Ask an ordered question about a place if there is more than one option."""
    if len(options) == 1:
        return options[0]
    return cast(int, chooser.choose(f"{place}.{what}", options, ordered=True, active=active, site=place))


def _down(inputs: int, width: int, strides: Sequence[int]) -> nn.Module:
    """3×3 convolutions with these strides, each with a layer norm; a GELU between the two of a stem."""
    layers: list[nn.Module] = []
    for index, stride in enumerate(strides, 1):
        outputs = width if index == len(strides) else width // 2
        layers += [nn.Conv2d(inputs, outputs, 3, stride, padding=1), LayerNorm2d(outputs), nn.GELU()]
        inputs = outputs
    return nn.Sequential(*layers[:-1])


def _depthwise(width: int, kernel: int) -> nn.Module:
    """A depthwise convolution and a batch norm; nothing for kernel 0."""
    large = kernel >= LARGE

    def convolution() -> nn.Module:
        if large:
            return DilatedReparam(width, kernel)
        return nn.Conv2d(width, width, kernel or 3, padding=(kernel or 3) // 2, groups=width, bias=False)

    norm = nn.BatchNorm2d(width) if kernel else nn.Identity()
    return nn.Sequential(OrderedDict(conv=slot(convolution, active=kernel > 0), norm=norm))


def _is_pointwise(site: Site) -> bool:
    """Whether the site is a 1×1 convolution that may be sparse, decided by path and shape independently of choices."""
    gated = {"se", "gate", "near_gate", "far_gate"} & set(site.module.split("."))
    return site.shape[2:] == (1, 1) and not gated


def _initialise(module: nn.Module) -> None:
    if isinstance(module, nn.Conv2d | nn.Linear):
        nn.init.trunc_normal_(module.weight, std=0.02)
        if module.bias is not None:
            nn.init.zeros_(module.bias)


def _published(base: int, units: Sequence[int], small: int) -> Mapping[str, Value]:
    """Choices of preset ``paper``: widths double from ``base``, kernels are 3×3 in the first stage and 13×13 later."""
    choices: dict[str, Value] = {"stage3.small_blocks": small}
    for index, count in enumerate(units):
        name = f"stage{index + 1}"
        choices |= {f"{name}.units": count, f"{name}.width": base << index, f"{name}.expansion": 4, f"{name}.se": True}
        for unit in range(1, count + 1):
            choices[f"{name}.unit{unit}.kernel"] = 13 if index else 3
            choices |= {f"{name}.unit{unit}.mixer": "depthwise"} if index else {}
    return choices


#: Networks of the paper as choices of preset ``paper``, by the last letter of their names. For 1,000 classes, A, F, P,
#: N, T and S have 4,649,060, 6,489,328, 11,080,520, 18,818,880, 31,693,420 and 56,456,704 parameters in training, and
#: 4,437,300, 6,235,216, 10,741,704, 18,318,560, 31,037,980 and 55,645,984 in the file. The paper gives 4.4, 6.2, 10.7,
#: 18.3, 31.0 and 55.6 million.
PUBLISHED: Mapping[str, Mapping[str, Value]] = {
    "A": _published(40, (2, 2, 6, 2), 0),
    "F": _published(48, (2, 2, 6, 2), 0),
    "P": _published(64, (2, 2, 6, 2), 0),
    "N": _published(80, (2, 2, 8, 2), 0),
    "T": _published(80, (3, 3, 9, 3), 1),
    "S": _published(96, (3, 3, 9, 3), 2),
}
