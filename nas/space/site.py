"""Sites: the typed places of a network a policy can act on."""

from __future__ import annotations

from collections.abc import Mapping
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
    #: True where the weight keeps 32 bits: something that is no layer reads it too.
    full_precision: bool = False
    #: Paths of further layers with the very same parameter as weight: what is chosen here holds for them.
    shared: tuple[str, ...] = ()

    @property
    def layers(self) -> tuple[str, ...]:
        """The module and those that share its weight."""
        return (self.module, *self.shared)

    @property
    def stage(self) -> str:
        """First part of the path: what policies with scope ``stage`` group by."""
        return self.module.split(".")[0]


def find_sites(model: nn.Module, kind: SiteKind | None = None) -> list[Site]:
    """Every site of ``model`` in module order.

    Convolutions and linear layers have a weight, an input activation and a group of output channels. A module of
    another class declares its own by a method ``sites(path) -> list[Site]``; its children are then its own business.
    Of layers that share one parameter as weight, the first has the site; those of the others are inactive. A weight
    that a parametrization computes, or that something else than layers holds too, is dense.
    """
    sites: list[Site] = []
    modules, owners = dict(model.named_modules()), weight_owners(model)
    claimed: tuple[str, ...] = ()
    for path, module in modules.items():
        if claimed and path.startswith(claimed):
            continue
        if hasattr(module, "sites"):
            sites += module.sites(path)
            claimed += (f"{path}." if path else "",)
        elif isinstance(module, nn.Conv2d | nn.Linear):
            shape = tuple(module.weight.shape)
            inputs = module.in_channels if isinstance(module, nn.Conv2d) else module.in_features
            sites += [
                *_weight_sites(path, modules, owners),
                Site("activation", path, (inputs,)),
                Site("channels", path, (shape[0],)),
            ]
    return [site for site in sites if kind in (None, site.kind)]


def weight_owners(model: nn.Module) -> dict[int, list[tuple[str, str]]]:
    """Identity of each parameter → path of every module that holds it, and the name there; in module order."""
    owners: dict[int, list[tuple[str, str]]] = {}
    for path, module in model.named_modules():
        for name, parameter in module._parameters.items():
            if parameter is not None:
                owners.setdefault(id(parameter), []).append((path, name))
    return owners


def is_layer(module: nn.Module) -> bool:
    """Whether it is one whose weight is a site."""
    return isinstance(module, nn.Conv2d | nn.Linear) and not hasattr(module, "sites")


def _weight_sites(
    path: str, modules: Mapping[str, nn.Module], owners: Mapping[int, list[tuple[str, str]]]
) -> list[Site]:
    """Its own; inactive for a layer whose weight is that of a layer before."""
    weight = modules[path]._parameters.get("weight")
    shape = tuple(modules[path].weight.shape)  # type: ignore[arg-type]
    if weight is None:
        return [Site("weight", path, shape, dense=True)]
    layers = [owner for owner, name in owners[id(weight)] if name == "weight" and is_layer(modules[owner])]
    others = len(layers) < len(owners[id(weight)])
    if layers[0] != path:
        return [Site("weight", path, shape, active=False)]
    return [Site("weight", path, shape, dense=others, full_precision=others, shared=tuple(layers[1:]))]
