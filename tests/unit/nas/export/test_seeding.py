from __future__ import annotations

import pytest
import torch
from torch import nn

from nas.errors import ExportError
from nas.export.seeding import seed_weights
from nas.space import Architecture, Network

SHAPE = (1, 3, 8, 8)


def deep(depth: int = 60) -> Network:
    layers: list[nn.Module] = []
    for index in range(depth):
        layers += [nn.Conv2d(8 if index else 3, 8, 3, padding=1), nn.BatchNorm2d(8, momentum=0.05), nn.ReLU()]
    model = nn.Sequential(*layers, nn.Dropout(0.5), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 4))
    return Network(Architecture({"name": "deep"}, (), {}), model)


def test_the_signal_reaches_the_end_of_sixty_layers() -> None:
    network = deep()
    seed_weights(network, SHAPE, "identity")
    with torch.no_grad():
        outputs = network.model(torch.randn(16, *SHAPE[1:], generator=torch.Generator().manual_seed(0)))
    assert 0.05 < float(outputs.std(0).mean()) < 20.0


def test_equal_text_gives_equal_weights_whatever_was_there() -> None:
    first, second, third = deep(4), deep(4), deep(4)
    torch.manual_seed(7)
    seed_weights(first, SHAPE, "a")
    torch.manual_seed(8)
    seed_weights(second, (16, *SHAPE[1:]), "a")
    seed_weights(third, SHAPE, "b")
    pairs = zip(first.model.state_dict().values(), second.model.state_dict().values(), strict=True)
    assert all(torch.equal(a, b) for a, b in pairs)
    assert not torch.equal(first.model[0].weight, third.model[0].weight)


def test_modes_and_momenta_are_as_training_needs_them() -> None:
    network = deep(2)
    seed_weights(network, SHAPE, "a")
    assert not any(module.training for module in network.model.modules())
    assert network.model[1].momentum == 0.05


def test_a_zeroed_last_norm_of_a_branch_is_woken_up() -> None:
    network = deep(1)
    nn.init.zeros_(network.model[1].weight)
    seed_weights(network, SHAPE, "a")
    assert network.model[1].weight.min() == 1.0


def test_shapes_without_weights_are_refused() -> None:
    network = deep(1)
    network.model.to("meta")
    with pytest.raises(ExportError, match="meta"):
        seed_weights(network, SHAPE, "a")
