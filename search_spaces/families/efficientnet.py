"""EfficientNet, EfficientNet-Lite, MobileNetV2 and MnasNet, which consist of inverted residuals."""

from __future__ import annotations

import nas.torchvision_fix  # noqa: F401  isort: skip
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

from timm.layers import get_act_layer
from timm.models._efficientnet_builder import decode_arch_def, round_channels
from timm.models.efficientnet import EfficientNet
from torch import nn

from nas.space import Chooser, Value
from search_spaces.families import Family, choose, fitting_strides, sizes

ACTIVATIONS = ("relu", "relu6", "hard_swish", "swish")
#: Squeeze ratio of squeeze-and-excitation, as published.
SQUEEZE = 0.25


@dataclass(frozen=True)
class Preset:
    """Options; those of stages are lists with one item per stage."""

    stem_widths: tuple[int, ...]
    strides: tuple[int, ...]
    depths: tuple[tuple[int, ...], ...]
    widths: tuple[tuple[int, ...], ...]
    kernels: tuple[int, ...]
    expansions: tuple[int, ...]
    head_widths: tuple[int, ...]


class EfficientNetFamily(Family):
    """EfficientNet (Tan and Le 2019), its Lite form, MobileNetV2 (Sandler et al. 2018), MnasNet (Tan et al. 2019).

    Published networks are ``efficientnet_lite0``, ``efficientnet_b0``, ``mobilenetv2_100`` and ``mnasnet_100``.
    Choices: widths of stem and head, activation, squeeze-and-excitation; for each stage its depth, width, kernel and
    expansion. The first stage is depthwise separable and does not expand.
    """

    presets: ClassVar[Mapping[str, Preset]] = {
        "small": Preset(
            stem_widths=(8, 12, 16),
            strides=(2, 2, 2, 1),
            depths=((1,), (1, 2), (1, 2, 3), (1, 2)),
            widths=((8, 12), (12, 16, 24), (24, 32, 40), (40, 48, 64)),
            kernels=(3, 5),
            expansions=(2, 3, 4),
            head_widths=(64, 96, 128),
        ),
        "paper": Preset(
            stem_widths=(16, 24, 32, 40),
            strides=(1, 2, 2, 2, 1, 2, 1),
            depths=((1, 2), (1, 2, 3), (2, 3), (3, 4), (2, 3, 4), (3, 4, 5), (1, 2)),
            widths=(
                *((8, 16, 24), (16, 24, 32), (32, 40, 48), (64, 80, 96)),
                *((96, 112, 136), (160, 192, 232), (320, 384)),
            ),
            kernels=(3, 5, 7),
            expansions=(3, 4, 6),
            head_widths=(640, 960, 1280),
        ),
    }

    def build(self, chooser: Chooser, input_shape: tuple[int, int, int], num_classes: int) -> nn.Module:
        """See ``Family.build``."""
        preset: Preset = self.preset
        channels, height, width = input_shape
        stem = choose(chooser, "stem", "width", preset.stem_widths)
        activation = str(chooser.choose("activation", ACTIVATIONS))
        squeeze = f"_se{SQUEEZE}" if chooser.choose("se", (False, True), ordered=True) else ""
        (size,) = sizes(min(height, width), [2])[1:]
        strides = fitting_strides(size, preset.strides)
        stages = [
            [self._stage(chooser, stage, stride, before) + squeeze]
            for stage, (stride, before) in enumerate(zip(strides, sizes(size, strides), strict=False))
        ]
        model: nn.Module = EfficientNet(
            block_args=decode_arch_def(stages),
            num_classes=num_classes,
            num_features=choose(chooser, "head", "width", preset.head_widths),
            in_chans=channels,
            stem_size=stem,
            fix_stem=True,
            round_chs_fn=round_channels,
            act_layer=get_act_layer(activation),
        )
        return model

    def _stage(self, chooser: Chooser, stage: int, stride: int, size: int) -> str:
        """A stage in timm's notation."""
        preset: Preset = self.preset
        place, first = f"blocks.{stage}", stage == 0
        depth = choose(chooser, place, "depth", preset.depths[stage])
        width = choose(chooser, place, "width", preset.widths[stage])
        kernel = min(choose(chooser, place, "kernel", preset.kernels), 2 * size - 1)
        expansion = 1 if first else choose(chooser, place, "expansion", preset.expansions)
        return f"{'ds' if first else 'ir'}_r{depth}_k{kernel}_s{stride}_e{expansion}_c{width}"


def _published(activation: str, se: bool, *stages: tuple[int, int, int, int]) -> Mapping[str, Value]:
    """The choices of a network with this depth, width, kernel and expansion for each stage."""
    choices: dict[str, Value] = {"stem.width": 32, "head.width": 1280, "activation": activation, "se": se}
    for stage, numbers in enumerate(stages):
        names: Sequence[str] = ("depth", "width", "kernel", "expansion")[: 3 if stage == 0 else 4]
        choices |= {f"blocks.{stage}.{name}": number for name, number in zip(names, numbers, strict=False)}
    return choices


_B0 = (
    *((1, 16, 3, 1), (2, 24, 3, 6), (2, 40, 5, 6), (3, 80, 3, 6)),
    *((3, 112, 5, 6), (4, 192, 5, 6), (1, 320, 3, 6)),
)
EfficientNetFamily.published = {
    "efficientnet_lite0": _published("relu6", False, *_B0),
    "efficientnet_b0": _published("swish", True, *_B0),
    "mobilenetv2_100": _published(
        *("relu6", False),
        *((1, 16, 3, 1), (2, 24, 3, 6), (3, 32, 3, 6), (4, 64, 3, 6)),
        *((3, 96, 3, 6), (3, 160, 3, 6), (1, 320, 3, 6)),
    ),
    "mnasnet_100": _published(
        *("relu", False),
        *((1, 16, 3, 1), (3, 24, 3, 3), (3, 40, 5, 3), (3, 80, 5, 6)),
        *((2, 96, 3, 6), (4, 192, 5, 6), (1, 320, 3, 6)),
    ),
}
