from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from nas.errors import SpaceError
from nas.graph.identity import count_parameters
from nas.layers.ulsam import Ulsam
from nas.space.site import find_sites


def shaken(module: nn.Module) -> nn.Module:
    """The module with batch norms that are not neutral."""
    torch.manual_seed(0)
    for norm in module.modules():
        if isinstance(norm, nn.BatchNorm2d):
            for tensor in (norm.weight, norm.bias, norm.running_mean, norm.running_var):
                nn.init.uniform_(tensor, 0.5, 1.5)  # type: ignore[arg-type]
    return module.eval()


def part(module: Ulsam, number: int, inputs: Tensor) -> Tensor:
    """One subspace as the paper defines it, computed separately: ``x + x · map``."""
    size = module.channels // module.groups
    channels = slice(number * size, (number + 1) * size)
    x = inputs[:, channels]

    def norm(layer: nn.BatchNorm2d, value: Tensor, where: slice) -> Tensor:
        assert layer.running_mean is not None
        assert layer.running_var is not None
        mean, variance, weight, bias = (
            tensor[where].view(1, -1, 1, 1)
            for tensor in (layer.running_mean, layer.running_var, layer.weight, layer.bias)
        )
        return torch.relu((value - mean) / torch.sqrt(variance + layer.eps) * weight + bias)

    depthwise = x * module.depthwise.weight[channels].view(1, -1, 1, 1)
    pooled = nn.functional.max_pool2d(norm(module.depthwise_norm, depthwise, channels), 3, 1, 1)
    point = (pooled * module.point.weight[number].view(1, -1, 1, 1)).sum(1, keepdim=True)
    scores = norm(module.point_norm, point, slice(number, number + 1))
    exponentials = scores.exp()
    return x + x * exponentials / exponentials.sum((2, 3), keepdim=True)


@pytest.mark.parametrize("groups", [1, 2, 4, 8, 16])
def test_it_is_the_papers_module(groups: int) -> None:
    module = shaken(Ulsam(16, groups))
    assert isinstance(module, Ulsam)
    inputs = torch.randn(3, 16, 6, 5)
    with torch.no_grad():
        maps, outputs = module.maps(inputs), module(inputs)
        parts = [part(module, number, inputs) for number in range(groups)]
    assert maps.shape == (3, groups, 6, 5)
    assert torch.allclose(maps.sum((2, 3)), torch.ones(3, groups), atol=1e-5)
    assert torch.allclose(outputs, inputs * (1 + maps.repeat_interleave(16 // groups, dim=1)), atol=1e-5)
    assert torch.allclose(outputs, torch.cat(parts, dim=1), atol=1e-5)
    # Each part of G channels has G + 2·G parameters in the depthwise layer and G + 2 in the map.
    assert count_parameters(module) == groups * (4 * (16 // groups) + 2)


def test_policies_leave_it_alone() -> None:
    model = nn.Sequential(nn.Conv2d(3, 8, 1), Ulsam(8, 2))
    assert {site.module for site in find_sites(model)} == {"0"}


@pytest.mark.parametrize("groups", [0, 3, 32])
def test_groups_that_do_not_divide_are_refused(groups: int) -> None:
    with pytest.raises(SpaceError, match="divisors of 16"):
        Ulsam(16, groups)
