"""A module of the user, as a space with one network, whose layers policies search over."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

from torch import nn

from nas.errors import PlanError
from nas.graph.tracing import trace
from nas.graph.weight_use import WeightUse, weight_uses
from nas.space import Chooser, SearchSpace, Site
from nas.space.computed import use_parametrizations
from nas.space.name_patterns import matching, name_patterns
from nas.space.start import Start
from nas.tasks import Task
from search_spaces.answers import check_answers
from search_spaces.factory import load_factory
from search_spaces.making import make_network

logger = logging.getLogger(__name__)

_ALL = ("*",)


class Module(SearchSpace):
    """A module of your own, unchanged.

    The space has no choices; policies search over the convolutions and linear layers that ``search`` names. Without
    policies it is one network, a baseline. See ``docs/how-to/own-network.md``.

    Args:
        factory: ``package:function`` that makes the module with random weights, or ``package:Class`` of a module;
            required. It is called with ``num_classes`` and ``in_chans`` if it has these parameters, and with both if it
            takes ``**kwargs``. Functions of Python's own library are refused, and so are functions that are annotated
            to return anything but a module.
        weights: safetensors file with the starting weights; random weights by default.
        strict: every tensor of the file must have its counterpart in the module and vice versa; ``false`` loads the
            tensors that fit and lists the others.
        freeze: name patterns of parameters that are not trained, such as ``[layer1.*]``; the batch norms of these
            layers keep their statistics.
        search: path patterns of the layers that policies may change.
    """

    paths = ("weights",)

    def __init__(
        self,
        factory: str | None = None,
        weights: str | None = None,
        strict: bool = True,
        freeze: Sequence[str] = (),
        search: Sequence[str] = _ALL,
    ) -> None:
        if not isinstance(factory, str) or ":" not in factory:
            raise PlanError(f"module: factory {factory!r}; give package:function, my_network:make")
        self._factory = load_factory(factory)
        self._name = factory
        self._start = Start.of(weights, strict=strict, freeze=freeze)
        self._search = name_patterns("search", search)

    def build(self, chooser: Chooser, task: Task) -> nn.Module:
        """See ``SearchSpace.build``."""
        model = make_network(self._factory, self._name, task)
        check_answers(model, task, self._name)
        self._input_shape = (1, *task.input_shape)
        self._start.apply(model)
        use_parametrizations(model)
        return model

    def sites(self, model: nn.Module) -> list[Site]:
        """The sites of the layers that ``search`` names; a shared weight has one only if it names all its layers."""
        found = weight_uses(trace(model, self._input_shape, unused=True))
        sites = [_as_read(model, site, found) for site in super().sites(model)]
        _say_what_is_left(self._name, sites)
        if self._search == _ALL:
            return sites
        layers = list(dict.fromkeys(site.module for site in sites))
        chosen = set(matching("search", self._search, layers))
        return [site for site in sites if chosen.issuperset(site.layers)]

    def start(self) -> Mapping[str, Any]:
        """The weights, and which of them are frozen."""
        return self._start.identity()

    def trained(self, model: nn.Module) -> bool:
        """See ``SearchSpace.trained``."""
        return self._start.fills(model)

    @classmethod
    def examples(cls) -> Sequence[SearchSpace]:
        """See ``SearchSpace.examples``."""
        here = f"{__name__}:{three_layers.__name__}"
        return [cls(here), cls(here, freeze=["0.*"], search=["2", "5"])]


def _say_what_is_left(name: str, sites: Sequence[Site]) -> None:
    left = {
        "stays dense": [site.module for site in sites if site.dense],
        "keeps 32 bits": [site.module for site in sites if site.full_precision],
    }
    for what, layers in left.items():
        if layers:
            _warn_once(
                f"{name}: the weight of {', '.join(layers)} {what}: it is computed, or not only its layer reads it"
            )


@cache
def _warn_once(message: str) -> None:
    logger.warning("module: %s", message)


def _as_read(model: nn.Module, site: Site, found: Mapping[int, WeightUse]) -> Site:
    weight = model.get_submodule(site.module)._parameters.get("weight")
    return found[id(weight)].restrict(site) if site.kind == "weight" and id(weight) in found else site


def three_layers(num_classes: int, in_chans: int) -> nn.Module:
    """A small module for the contract suite."""
    return nn.Sequential(
        *(nn.Conv2d(in_chans, 4, 3, padding=1), nn.ReLU(), nn.Conv2d(4, 6, 1)),
        *(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(6, num_classes)),
    )
