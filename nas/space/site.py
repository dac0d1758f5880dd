"""Sites: the places of a network that a policy can change, each with a type."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from torch import nn

SiteKind = Literal["weight", "activation", "channels"]


@dataclass(frozen=True)
class Site:
    """One place of a network. Its name is the path of its module, which depends on slot names only."""

    kind: SiteKind
    #: Path of the module, as in ``named_modules``.
    module: str
    #: For a weight its shape, for an activation ``(in_channels,)`` of the input, for channels ``(out_channels,)``.
    shape: tuple[int, ...]
    #: False for a site of a skipped slot. Questions about it are asked too, so that all networks answer the same ones.
    active: bool = True
    #: True if weight sparsity must not change it, because the space keeps a stem or classifier dense, or because the
    #: layer has a mask of its own.
    dense: bool = False
    #: True if the weight must keep 32 bits, because something other than a layer reads it too.
    full_precision: bool = False
    #: Paths of further layers that share the weight; what is chosen for this site holds for them too.
    shared: tuple[str, ...] = ()

    @property
    def layers(self) -> tuple[str, ...]:
        """The paths of the module and of the layers that share its weight."""
        return (self.module, *self.shared)

    @property
    def stage(self) -> str:
        """The first part of the path, by which policies with scope ``stage`` group sites."""
        return self.module.split(".")[0]


def find_sites(model: nn.Module, kind: SiteKind | None = None) -> list[Site]:
    """Every site of ``model`` in the order of its modules.

    Convolutions and linear layers have three sites: weight, input activation and output channels. A module of another
    class can declare sites by a method ``sites(path) -> list[Site]``; its children are then not searched. If several
    layers share a weight, the first one has the site, and the sites of the others are inactive. A weight is dense if a
    parametrization computes it, or if a module that is not a layer holds it too.
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
    """``id`` of each parameter → the paths of the modules that hold it, with its name there, in module order."""
    owners: dict[int, list[tuple[str, str]]] = {}
    for path, module in model.named_modules():
        for name, parameter in module._parameters.items():
            if parameter is not None:
                owners.setdefault(id(parameter), []).append((path, name))
    return owners


def is_layer(module: nn.Module) -> bool:
    """Whether the module is a convolution or linear layer, whose weight is a site."""
    return isinstance(module, nn.Conv2d | nn.Linear) and not hasattr(module, "sites")


def _weight_sites(
    path: str, modules: Mapping[str, nn.Module], owners: Mapping[int, list[tuple[str, str]]]
) -> list[Site]:
    """The sites of one layer; inactive if an earlier layer has the same weight."""
    weight = modules[path]._parameters.get("weight")
    shape = tuple(modules[path].weight.shape)  # type: ignore[arg-type]
    if weight is None:
        return [Site("weight", path, shape, dense=True)]
    layers = [owner for owner, name in owners[id(weight)] if name == "weight" and is_layer(modules[owner])]
    others = len(layers) < len(owners[id(weight)])
    if layers[0] != path:
        return [Site("weight", path, shape, active=False)]
    return [Site("weight", path, shape, dense=others, full_precision=others, shared=tuple(layers[1:]))]
