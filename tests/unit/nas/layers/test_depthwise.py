from __future__ import annotations

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from nas.layers.depthwise import depthwise

SETTINGS = [(3, 1), (5, 1), (13, 1), (17, 1), (7, 2), (3, 5)]


def operands(kernel: int, shape: tuple[int, ...] = (2, 3, 6, 5)) -> tuple[Tensor, Tensor, Tensor]:
    generator = torch.Generator().manual_seed(kernel)
    sizes = (shape, (shape[1], 1, kernel, kernel), (shape[1],))
    return tuple(torch.randn(size, generator=generator, dtype=torch.double).requires_grad_() for size in sizes)


@pytest.mark.parametrize(("kernel", "dilation"), SETTINGS)
@pytest.mark.parametrize("memory_format", [torch.contiguous_format, torch.channels_last])
def test_values_and_gradients_are_those_of_torchs_convolution(
    kernel: int, dilation: int, memory_format: torch.memory_format
) -> None:
    inputs, weight, bias = operands(kernel)
    given = inputs.contiguous(memory_format=memory_format)
    found = depthwise(given, weight, bias, dilation)
    padding = dilation * (kernel - 1) // 2
    expected = F.conv2d(inputs, weight, bias, padding=padding, dilation=dilation, groups=3)
    assert torch.allclose(found, expected)
    assert found.is_contiguous(memory_format=memory_format)
    upstream = torch.randn(found.shape, dtype=torch.double, generator=torch.Generator().manual_seed(1))
    gradients = (torch.autograd.grad(output, (inputs, weight, bias), upstream) for output in (found, expected))
    for mine, torchs in zip(*gradients, strict=True):
        assert torch.allclose(mine, torchs)


def test_there_are_second_derivatives() -> None:
    inputs, weight, bias = operands(3, (1, 2, 3, 3))
    assert torch.autograd.gradgradcheck(lambda *tensors: depthwise(*tensors, 2), (inputs, weight, bias))
