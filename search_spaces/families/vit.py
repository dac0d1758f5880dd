"""Vision transformers."""

from __future__ import annotations

import nas.torchvision_fix  # noqa: F401  isort: skip
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from timm.models.vision_transformer import VisionTransformer
from torch import nn

from nas.space import Chooser, Value
from search_spaces.families import Family, choose
from search_spaces.timm_recipe import record_recipe

POOLS = ("token", "avg")


@dataclass(frozen=True)
class Preset:
    """Options; every width is a multiple of every number of heads."""

    patches: tuple[int, ...]
    widths: tuple[int, ...]
    depths: tuple[int, ...]
    heads: tuple[int, ...]
    ratios: tuple[float, ...]


class VisionTransformerFamily(Family):
    """ViT and DeiT (Dosovitskiy et al. 2021; Touvron et al. 2021) with equal blocks.

    Published networks are ``vit_*_patch*_224`` and ``deit_tiny_patch16_224``. Choices: patch size, width, depth, heads,
    the perceptron's width relative to the network's, and whether the class is read from a token of its own or from the
    mean. A patch that does not divide the image is replaced by the greatest common divisor of both.
    """

    presets: ClassVar[Mapping[str, Preset]] = {
        "small": Preset(
            patches=(16, 8), widths=(48, 64, 96), depths=(2, 3, 4), heads=(2, 4, 8), ratios=(1.0, 2.0, 3.0, 4.0)
        ),
        "paper": Preset(
            patches=(32, 16, 8),
            widths=(192, 384, 768),
            depths=(6, 8, 10, 12),
            heads=(3, 6, 12),
            ratios=(2.0, 3.0, 4.0),
        ),
    }

    def build(self, chooser: Chooser, input_shape: tuple[int, int, int], num_classes: int) -> nn.Module:
        """See ``Family.build``."""
        preset: Preset = self.preset
        channels, height, width = input_shape
        patch = math.gcd(choose(chooser, "patch_embed", "patch", preset.patches), height, width)
        pool = str(chooser.choose("pool", POOLS))
        arguments: dict[str, Any] = {
            "img_size": (height, width),
            "patch_size": patch,
            "in_chans": channels,
            "num_classes": num_classes,
            "global_pool": pool,
            "class_token": pool == "token",
            "fc_norm": False,
            "embed_dim": choose(chooser, "blocks", "width", preset.widths),
            "depth": choose(chooser, "blocks", "depth", preset.depths),
            "num_heads": chooser.choose("blocks.heads", preset.heads, site="blocks"),
            "mlp_ratio": choose(chooser, "blocks", "mlp_ratio", preset.ratios),
        }
        model: nn.Module = VisionTransformer(**arguments)
        record_recipe(model, "vit_tiny_patch16_224", **arguments)
        return model


def _published(width: int, heads: int, patch: int = 16) -> Mapping[str, Value]:
    return {
        "patch_embed.patch": patch,
        "pool": "token",
        "blocks.width": width,
        "blocks.depth": 12,
        "blocks.heads": heads,
        "blocks.mlp_ratio": 4.0,
    }


VisionTransformerFamily.published = {
    "vit_tiny_patch16_224": _published(192, 3),
    "vit_small_patch16_224": _published(384, 6),
    "vit_small_patch32_224": _published(384, 6, 32),
    "vit_base_patch16_224": _published(768, 12),
    "deit_tiny_patch16_224": _published(192, 3),
}
