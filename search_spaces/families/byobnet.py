"""Residual networks and RepVGG, built by timm's ``ByobNet``."""

from __future__ import annotations

import nas.torchvision_fix  # noqa: F401  isort: skip
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

from timm.models.byobnet import ByoBlockCfg, ByobNet, ByoModelCfg
from torch import nn

from nas.layers.rep_vgg import merge_when_deployed
from nas.space import Chooser, Value
from search_spaces.families import Family, choose, fitting_strides

BLOCKS = ("basic", "bottle", "rep")
ACTIVATIONS = ("relu", "silu")


@dataclass(frozen=True)
class Preset:
    """Options; those of stages are lists with one item per stage."""

    stem_widths: tuple[int, ...]
    #: Whether the stem has three convolutions and reduces maps fourfold; other stems halve maps.
    tiered: bool
    depths: tuple[tuple[int, ...], ...]
    widths: tuple[tuple[int, ...], ...]
    bottlenecks: tuple[float, ...]
    head_widths: tuple[int, ...]


class ByobNetFamily(Family):
    """ResNets (He et al. 2016) of basic or bottleneck blocks, and RepVGG (Ding et al. 2021).

    Published networks are ``repvgg_*``, ``resnet32ts``, ``resnet33ts`` and ``seresnet33ts``. Choices: the block,
    activation, squeeze-and-excitation (not in RepVGG's blocks), the factor by which bottlenecks are narrower, widths of
    the stem and of a last convolution (0: none); for each stage its depth and width. RepVGG's blocks train in branches
    and ship as one convolution each.
    """

    presets: ClassVar[Mapping[str, Preset]] = {
        "small": Preset(
            stem_widths=(8, 16),
            tiered=False,
            depths=((1, 2), (1, 2, 3), (1, 2)),
            widths=((12, 16, 24), (24, 32, 48), (32, 48, 64)),
            bottlenecks=(0.25, 0.5),
            head_widths=(0, 64),
        ),
        "paper": Preset(
            stem_widths=(32, 48, 64),
            tiered=True,
            depths=((1, 2, 3, 4), (2, 3, 4, 6), (3, 6, 14, 16), (1, 2, 3)),
            widths=((48, 64, 96, 256), (96, 128, 192, 512), (192, 256, 384, 1536), (512, 1280, 1408, 1536)),
            bottlenecks=(0.25, 0.5),
            head_widths=(0, 1280),
        ),
    }
    complete = tuple({"block": block} for block in BLOCKS)

    def build(self, chooser: Chooser, input_shape: tuple[int, int, int], num_classes: int) -> nn.Module:
        """See ``Family.build``."""
        preset: Preset = self.preset
        block = str(chooser.choose("block", BLOCKS))
        residual = block != "rep"
        excited = chooser.choose("se", (False, True), ordered=True, active=residual)
        narrow = chooser.choose("bottleneck", preset.bottlenecks, ordered=True, active=block == "bottle")
        tiered = preset.tiered and residual
        channels, *sides = input_shape
        stem_stride = 4 if tiered else 2
        strides = [1 if tiered else 2] + [2] * (len(preset.depths) - 1)
        stages = []
        for stage, stride in enumerate(fitting_strides(-(-min(sides) // stem_stride), strides)):
            place = f"stages.{stage}"
            depth = choose(chooser, place, "depth", preset.depths[stage])
            width = choose(chooser, place, "width", preset.widths[stage])
            ratio = narrow if block == "bottle" else 1.0
            stages.append(ByoBlockCfg(type=block, d=depth, c=width, s=stride, gs=0, br=ratio))
        settings = ByoModelCfg(
            blocks=tuple(stages),
            stem_type="tiered" if tiered else "3x3" if residual else "rep",
            stem_pool="",
            stem_chs=choose(chooser, "stem", "width", preset.stem_widths),
            num_features=choose(chooser, "final_conv", "width", preset.head_widths),
            act_layer=str(chooser.choose("activation", ACTIVATIONS)),
            attn_layer="se" if excited and residual else None,
        )
        model: nn.Module = ByobNet(settings, num_classes=num_classes, in_chans=channels)
        merge_when_deployed(model)
        return model


def _published(settings: Mapping[str, Value], *stages: Sequence[int]) -> Mapping[str, Value]:
    """The choices of a network with this depth and width for each stage."""
    choices: dict[str, Value] = {"final_conv.width": 0, **settings}
    for stage, (depth, width) in enumerate(stages):
        choices |= {f"stages.{stage}.depth": depth, f"stages.{stage}.width": width}
    return choices


_REP: Mapping[str, Value] = {"block": "rep", "activation": "relu"}
_RESNET: Mapping[str, Value] = {
    **{"block": "bottle", "bottleneck": 0.25, "se": False},
    **{"activation": "silu", "stem.width": 64},
}
_STAGES = ((2, 256), (3, 512), (3, 1536), (2, 1536))
ByobNetFamily.published = {
    "repvgg_a0": _published({**_REP, "stem.width": 48}, (2, 48), (4, 96), (14, 192), (1, 1280)),
    "repvgg_a1": _published({**_REP, "stem.width": 64}, (2, 64), (4, 128), (14, 256), (1, 1280)),
    "repvgg_a2": _published({**_REP, "stem.width": 64}, (2, 96), (4, 192), (14, 384), (1, 1408)),
    "repvgg_b0": _published({**_REP, "stem.width": 64}, (4, 64), (6, 128), (16, 256), (1, 1280)),
    "resnet32ts": _published(_RESNET, *_STAGES),
    "resnet33ts": _published({**_RESNET, "final_conv.width": 1280}, *_STAGES),
    "seresnet33ts": _published({**_RESNET, "final_conv.width": 1280, "se": True}, *_STAGES),
}
