from __future__ import annotations

import pytest
import torch
from torch import nn

from nas.estimators.memory_format import training_format

CPU = torch.device("cpu")


@pytest.mark.parametrize(
    "layer", [nn.Conv2d(3, 8, 1, 2), nn.Conv2d(8, 8, 1, (1, 2)), nn.Conv2d(32, 32, 1, 2, groups=4)]
)
def test_layers_whose_gradient_overruns_are_trained_contiguous(layer: nn.Module) -> None:
    model = nn.Sequential(nn.ReLU(), nn.Sequential(layer))
    assert training_format(model, CPU, (), channels_last=True) is torch.contiguous_format
    assert training_format(model, torch.device("cuda"), (), channels_last=True) is torch.channels_last


@pytest.mark.parametrize("layer", [nn.Conv2d(3, 8, 1), nn.Conv2d(3, 8, 3, 2), nn.Conv2d(16, 8, 1, 2), nn.Linear(3, 8)])
def test_all_others_as_wanted(layer: nn.Module) -> None:
    model = nn.Sequential(layer)
    assert training_format(model, CPU, (), channels_last=True) is torch.channels_last
    assert training_format(model, CPU, (), channels_last=False) is torch.contiguous_format
