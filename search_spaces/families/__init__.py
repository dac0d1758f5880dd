"""Families of networks that timm builds from numbers, and what of each there is to choose."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from torch import nn

from nas.errors import PlanError
from nas.registry import Registry, nearest
from nas.space import Chooser, Value


class Family(ABC):
    """Networks of one constructor of timm.

    Questions run from cheap to dear where they are ordered; those without effect are asked as inactive. What does not
    fit an image is projected: kernels to those whose taps can reach a pixel, strides to those that leave some.

    Args:
        preset: one of ``presets``.
    """

    #: Name → options.
    presets: ClassVar[Mapping[str, Any]]
    #: Networks of timm by their name there → answers of preset ``paper`` that build them.
    published: ClassVar[Mapping[str, Mapping[str, Value]]]
    #: Answers that, each set beside the dearest ones, build networks that between them have every layer there may be.
    complete: ClassVar[Sequence[Mapping[str, Value]]] = ({},)

    def __init__(self, preset: str) -> None:
        if preset not in self.presets:
            known = ", ".join(self.presets)
            hint = nearest(str(preset), self.presets, f"allowed: {known}")
            raise PlanError(f"timm_family: preset {preset!r}{hint}")
        self.preset = self.presets[preset]

    @abstractmethod
    def build(self, chooser: Chooser, input_shape: tuple[int, int, int], num_classes: int) -> nn.Module:
        """The network for ``(C, H, W)`` that the chooser's answers describe."""


FAMILIES: Registry[type[Family]] = Registry(
    "families",
    {
        "byobnet": "search_spaces.families.byobnet:ByobNetFamily",
        "convnext": "search_spaces.families.convnext:ConvNeXtFamily",
        "efficientnet": "search_spaces.families.efficientnet:EfficientNetFamily",
        "vit": "search_spaces.families.vit:VisionTransformerFamily",
    },
    subclasses_of=Family,
)


def choose(chooser: Chooser, place: str, name: str, options: Sequence[Value], *, active: bool = True) -> Any:
    """The answer to an ordered question about a place."""
    return chooser.choose(f"{place}.{name}", options, ordered=True, active=active, site=place)


def fitting_strides(size: int, strides: Sequence[int]) -> list[int]:
    """``strides`` for a map of ``size`` pixels a side; as many of the first ones are 1 as to leave two pixels."""
    fitting = list(strides)
    while min(sizes(size, fitting)) < 2 and max(fitting) > 1:
        fitting[fitting.index(2)] = 1
    return fitting


def sizes(size: int, strides: Sequence[int]) -> list[int]:
    """Pixels a side before each of the strided convolutions and after the last: these round up."""
    found = [size]
    for stride in strides:
        found.append(-(-found[-1] // stride))
    return found
