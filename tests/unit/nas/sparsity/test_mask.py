"""Masks combined with other parametrizations of the same weight."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

from nas.estimators.training import Training
from nas.quantization.aware import RoundedWeight, switch
from nas.quantization.aware import attach as attach_rounding
from nas.quantization.aware import detach as detach_rounding
from nas.quantization.scheme import Scheme
from nas.space.chooser import PositionChooser
from nas.space.sampling import Searched
from nas.sparsity.mask import Mask, put_mask
from nas.tasks import make_task
from search_spaces.plain_convnet import PlainConvNet

TASK = make_task("digits", image_size=8)
SPEC = {"name": "sparsity", "scope": "stage", "patterns": ["channels", "unstructured"], "densities": [0.4]}
SPACE = Searched(PlainConvNet(), {"name": "plain_convnet"}, (SPEC,), TASK)


def finished(*, rounding_goes_first: bool) -> Tensor:
    """All weights of a network trained with both parametrizations, after both were removed."""
    network = SPACE.build(SPACE.sample(PositionChooser(0.4)).architecture, seed=0)
    layers: list[Any] = [layer for layer in network.model.modules() if isinstance(layer, nn.Conv2d | nn.Linear)]
    handles = [attach_rounding(layer, 8, Scheme()) for layer in layers]
    switch(network.model, True)
    list(Training(epochs=1, batch_size=256).fit(network, TASK, seed=0))
    if not rounding_goes_first:
        network.finalize()
        assert all(parametrize.is_parametrized(layer, "weight") for layer in layers)
    for layer, handle in zip(layers, handles, strict=True):
        detach_rounding(layer, handle)
    if rounding_goes_first:
        network.finalize()
    assert not any(parametrize.is_parametrized(module) for module in network.model.modules())
    return torch.cat([layer.weight.detach().flatten() for layer in layers])


def test_the_weights_that_ship_are_the_same_whichever_goes_first() -> None:
    assert torch.equal(finished(rounding_goes_first=True), finished(rounding_goes_first=False))


def test_rounding_sees_zeros_whichever_came_first() -> None:
    layer = nn.Linear(6, 4)
    attach_rounding(layer, 4, Scheme())
    masks = [Mask((4, 1), torch.device("cpu")), Mask((4, 6), torch.device("cpu"))]
    for mask in masks:
        put_mask(layer, mask)
    stacked = layer.parametrizations["weight"]  # type: ignore[index]
    assert list(stacked)[:2] == masks
    assert isinstance(stacked[2], RoundedWeight)
    masks[1].kept[0] = False
    assert not layer.weight[0].any()
