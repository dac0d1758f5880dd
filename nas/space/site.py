"""Sites: the typed places of a network a policy can act on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from torch import nn

SiteKind = Literal["weight", "activation", "channels"]


@dataclass(frozen=True)
class Site:
    """One place. Its name is the module's path in the network, which depends on slot names only."""

    kind: SiteKind
    #: Path of the module, as in ``named_modules``.
    module: str
    #: Weight: its shape. Activation: ``(in_channels,)`` of the input. Channels: ``(out_channels,)``.
    shape: tuple[int, ...]
    #: False for a site of a skipped slot: asked about, so that every network answers the same questions.
    active: bool = True
    #: True where weight sparsity must not act: the space wants a stem or a classifier dense, or a layer has a mask
    #: of its own.
    dense: bool = False

    @property
    def stage(self) -> str:
        """First part of the path: what policies with scope ``stage`` group by."""
        return self.module.split(".")[0]


def find_sites(model: nn.Module, kind: SiteKind | None = None) -> list[Site]:
    """Every site of ``model`` in module order.

    Convolutions and linear layers have a weight, an input activation and a group of output channels. A module of
    another class declares its own by a method ``sites(path) -> list[Site]``; its children are then its own business.
    """
    sites: list[Site] = []
    claimed: tuple[str, ...] = ()
    for path, module in model.named_modules():
        if claimed and path.startswith(claimed):
            continue
        if hasattr(module, "sites"):
            sites += module.sites(path)
            claimed += (f"{path}." if path else "",)
        elif isinstance(module, nn.Conv2d | nn.Linear):
            shape = tuple(module.weight.shape)
            inputs = module.in_channels if isinstance(module, nn.Conv2d) else module.in_features
            sites += [
                Site("weight", path, shape),
                Site("activation", path, (inputs,)),
                Site("channels", path, (shape[0],)),
            ]
    return [site for site in sites if kind in (None, site.kind)]
