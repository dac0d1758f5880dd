"""ConvNeXt and ConvNeXt V2."""

from __future__ import annotations

import nas.torchvision_fix  # noqa: F401  isort: skip
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from timm.models.convnext import ConvNeXt
from torch import nn

from nas.space import Chooser, Value
from search_spaces.families import Family, choose
from search_spaces.timm_recipe import record_recipe


@dataclass(frozen=True)
class Preset:
    """Options; those of stages are lists with one item per stage."""

    patches: tuple[int, ...]
    depths: tuple[tuple[int, ...], ...]
    widths: tuple[tuple[int, ...], ...]
    kernels: tuple[int, ...]
    #: Initial value of layer scales. Short trainings can't move them far from timm's initial value, a millionth.
    layer_scale: float


class ConvNeXtFamily(Family):
    """ConvNeXt (Liu et al. 2022) and V2 (Woo et al. 2023).

    Published networks are ``convnext_*`` and ``convnextv2_*``. Choices: patch size of the stem, whether perceptrons are
    1×1 convolutions or linear layers, response normalisation (V2, without layer scale); for each of four stages its
    depth, width and depthwise kernel. In images of fewer than 32 pixels, the last stages dilate their kernels instead
    of shrinking the map (timm's ``output_stride``).
    """

    presets: ClassVar[Mapping[str, Preset]] = {
        "small": Preset(
            patches=(4, 2),
            depths=((1,), (1, 2), (1, 2, 3), (1,)),
            widths=((8, 12, 16), (16, 24, 32), (24, 32, 48), (32, 48, 64)),
            kernels=(3, 5, 7),
            layer_scale=0.1,
        ),
        "paper": Preset(
            patches=(4, 2),
            depths=((2, 3), (2, 3), (6, 8, 9, 27), (2, 3)),
            widths=tuple(tuple(width * 2**stage for width in (40, 48, 64, 80, 96, 128)) for stage in range(4)),
            kernels=(3, 5, 7),
            layer_scale=1e-6,
        ),
    }
    # The first stage has a down-sampling only if patches have two pixels.
    complete = ({"stem.patch": 2},)

    def build(self, chooser: Chooser, input_shape: tuple[int, int, int], num_classes: int) -> nn.Module:
        """See ``Family.build``."""
        preset: Preset = self.preset
        channels, height, width = input_shape
        size = min(height, width)
        reduction = next(stride for stride in (32, 16, 8) if size >= stride)
        patch = choose(chooser, "stem", "patch", preset.patches)
        mlp = chooser.choose("mlp", ("convolution", "linear"))
        normed = chooser.choose("response_norm", (False, True), ordered=True)
        depths, widths, kernels = [], [], []
        for stage in range(4):
            place = f"stages.{stage}"
            depths.append(choose(chooser, place, "depth", preset.depths[stage]))
            widths.append(choose(chooser, place, "width", preset.widths[stage]))
            # The map of the first stage has a quarter of the image's pixels per side for every patch size.
            wanted = 4 * 2**stage
            pixels, dilation = size // min(wanted, reduction), max(wanted // reduction, 1)
            kernels.append(min(choose(chooser, place, "kernel", preset.kernels), 2 * ((pixels - 1) // dilation) + 1))
        arguments: dict[str, Any] = {
            "in_chans": channels,
            "num_classes": num_classes,
            "depths": tuple(depths),
            "dims": tuple(widths),
            "kernel_sizes": tuple(kernels),
            "patch_size": patch,
            "output_stride": reduction,
            "conv_mlp": mlp == "convolution",
        }
        scale = None if normed else preset.layer_scale
        model: nn.Module = ConvNeXt(**arguments, ls_init_value=scale, use_grn=normed)
        if normed:
            record_recipe(model, "convnextv2_atto", **arguments)
        else:
            record_recipe(model, "convnext_atto", **arguments, ls_init_value=scale)
        return model


def _published(mlp: str, normed: bool, depths: Sequence[int], width: int) -> Mapping[str, Value]:
    choices: dict[str, Value] = {"stem.patch": 4, "mlp": mlp, "response_norm": normed}
    for stage, depth in enumerate(depths):
        place = f"stages.{stage}"
        choices |= {f"{place}.depth": depth, f"{place}.width": width * 2**stage, f"{place}.kernel": 7}
    return choices


ConvNeXtFamily.published = {
    "convnext_atto": _published("convolution", False, (2, 2, 6, 2), 40),
    "convnext_femto": _published("convolution", False, (2, 2, 6, 2), 48),
    "convnext_pico": _published("convolution", False, (2, 2, 6, 2), 64),
    "convnext_nano": _published("convolution", False, (2, 2, 8, 2), 80),
    "convnext_tiny": _published("linear", False, (3, 3, 9, 3), 96),
    "convnext_small": _published("linear", False, (3, 3, 27, 3), 96),
    "convnext_base": _published("linear", False, (3, 3, 27, 3), 128),
    "convnextv2_atto": _published("convolution", True, (2, 2, 6, 2), 40),
    "convnextv2_pico": _published("convolution", True, (2, 2, 6, 2), 64),
    "convnextv2_tiny": _published("linear", True, (3, 3, 9, 3), 96),
}
