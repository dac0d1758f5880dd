"""Families of networks that timm builds from numbers, and the choices of each family."""

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

    Options of ordered questions are in the order of their cost, the cheapest first. Questions without effect are asked
    as inactive. Options that do not fit an image are replaced: kernels by the largest whose weights can reach a pixel,
    strides by smaller ones, so that pixels remain.

    Args:
        preset: one of ``presets``.
    """

    #: Name of a preset → its options.
    presets: ClassVar[Mapping[str, Any]]
    #: Name of a network in timm → answers of preset ``paper`` that build it.
    published: ClassVar[Mapping[str, Mapping[str, Value]]]
    #: Sets of answers. Combined with the most expensive other answers, they build networks that together have all
    #: layers of the family.
    complete: ClassVar[Sequence[Mapping[str, Value]]] = ({},)

    def __init__(self, preset: str) -> None:
        if preset not in self.presets:
            known = ", ".join(self.presets)
            hint = nearest(str(preset), self.presets, f"allowed: {known}")
            raise PlanError(f"timm_family: preset {preset!r}{hint}")
        self.preset = self.presets[preset]

    @abstractmethod
    def build(self, chooser: Chooser, input_shape: tuple[int, int, int], num_classes: int) -> nn.Module:
        """Build the network for inputs ``(C, H, W)`` that the chooser's answers describe."""


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
    """Ask an ordered question about a place and return the answer."""
    return chooser.choose(f"{place}.{name}", options, ordered=True, active=active, site=place)


def fitting_strides(size: int, strides: Sequence[int]) -> list[int]:
    """``strides`` for a map with ``size`` pixels per side; the first ones become 1 until two pixels remain."""
    fitting = list(strides)
    while min(sizes(size, fitting)) < 2 and max(fitting) > 1:
        fitting[fitting.index(2)] = 1
    return fitting


def sizes(size: int, strides: Sequence[int]) -> list[int]:
    """Pixels per side before each strided convolution and after the last one; a stride rounds up."""
    found = [size]
    for stride in strides:
        found.append(-(-found[-1] // stride))
    return found
