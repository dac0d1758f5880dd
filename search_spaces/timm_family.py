"""Families of networks that timm's constructors build from searched numbers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from typing import Any

import torch
from torch import nn

from nas.errors import PlanError
from nas.registry import nearest
from nas.space import Chooser, SearchSpace, Site
from nas.space.chooser import FixedVectorChooser, PositionChooser
from nas.space.site import find_sites
from nas.space.start import Start
from nas.tasks import Task
from search_spaces.answers import check_classification
from search_spaces.families import FAMILIES

#: Shape of an image for which every family has all its layers.
_REFERENCE = (3, 64, 64)


class TimmFamily(SearchSpace):
    """Networks of one family of timm (Wightman 2019), which timm's constructors build from the chosen numbers.

    With the preset ``paper``, timm's published networks are points of the space (``Family.published``), and their
    published weights fit. Blocks beyond a chosen depth do not exist, not even as identities, because timm's
    constructors can't make them; policies are asked about their layers as inactive.

    Args:
        family: ``convnext``, ``efficientnet``, ``byobnet`` or ``vit``.
        preset: ``small`` (images of about 32×32 pixels) or ``paper``.
        weights: local safetensors file to start from; each network loads the tensors that fit in name and shape.
    """

    paths = ("weights",)

    def __init__(self, family: str = "convnext", preset: str = "small", weights: str | None = None) -> None:
        if family not in FAMILIES.names():
            known = ", ".join(FAMILIES.names())
            hint = nearest(str(family), FAMILIES.names(), f"known: {known}")
            raise PlanError(f"timm_family: unknown family {family!r}{hint}")
        self.family = FAMILIES.get(family)(preset)
        self._start = Start.of(weights)

    def build(self, chooser: Chooser, task: Task) -> nn.Module:
        """See ``SearchSpace.build``."""
        check_classification(task, "timm_family")
        model = self.family.build(chooser, task.input_shape, task.num_outputs)
        self._start.apply(model)
        return model

    def sites(self, model: nn.Module) -> list[Site]:
        """The sites of all layers that networks of the space can have; inactive for layers that this network lacks."""
        present: dict[tuple[str, str], Site] = {(site.kind, site.module): site for site in find_sites(model)}
        assert present.keys() <= self._places.keys(), present.keys() - self._places.keys()
        return [present.get(key) or replace(site, active=False) for key, site in self._places.items()]

    def start(self) -> Mapping[str, Any]:
        """The weights to start from."""
        return self._start.identity()

    def trained(self, model: nn.Module) -> bool:
        """See ``SearchSpace.trained``."""
        return self._start.fills(model)

    @classmethod
    def examples(cls) -> Sequence[SearchSpace]:
        """See ``SearchSpace.examples``."""
        return [cls(family) for family in FAMILIES.names()]

    @cached_property
    def _places(self) -> Mapping[tuple[str, str], Site]:
        """The sites of the most expensive networks of each kind, in their order."""
        dearest = PositionChooser(1.0)
        with torch.device("meta"):
            self.family.build(dearest, _REFERENCE, 2)
            models = [
                self.family.build(FixedVectorChooser({**dearest.answers, **answers}), _REFERENCE, 2)
                for answers in self.family.complete
            ]
        return {(site.kind, site.module): site for model in models for site in find_sites(model)}
