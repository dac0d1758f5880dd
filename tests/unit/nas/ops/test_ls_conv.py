from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from nas.errors import SpaceError
from nas.export.onnx import OnnxExporter
from nas.export.seeding import seed_weights
from nas.graph.identity import count_macs, count_parameters
from nas.layers.ls_conv import LocalAggregation, LSConv
from nas.space import Architecture, Network

SHAPE = (2, 16, 6, 5)


def by_unfold(inputs: Tensor, kernels: Tensor, groups: int) -> Tensor:
    """The definition of the paper, channel by channel: channel c uses kernel c mod (C / groups)."""
    batch, channels, height, width = inputs.shape
    shared = channels // groups
    surroundings = F.unfold(inputs, 3, padding=1).view(batch, channels, 9, height, width)
    kernels = kernels.view(batch, shared, 9, height, width)
    return torch.stack([(surroundings[:, c] * kernels[:, c % shared]).sum(1) for c in range(channels)], dim=1)


def operands(groups: int) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(groups)
    predicted = (SHAPE[0], 9 * SHAPE[1] // groups, *SHAPE[2:])
    return tuple(torch.randn(shape, generator=generator).requires_grad_() for shape in (SHAPE, predicted))


@pytest.mark.parametrize("groups", [1, 4, 8, 16])
@pytest.mark.parametrize("memory_format", [torch.contiguous_format, torch.channels_last])
def test_aggregation_is_that_by_unfold(groups: int, memory_format: torch.memory_format) -> None:
    inputs, kernels = operands(groups)
    given = [tensor.contiguous(memory_format=memory_format) for tensor in (inputs, kernels)]
    found, expected = LocalAggregation(groups)(*given), by_unfold(inputs, kernels, groups)
    assert torch.allclose(found, expected, rtol=1e-5, atol=1e-5)
    assert found.is_contiguous(memory_format=memory_format)
    upstream = torch.randn(SHAPE, generator=torch.Generator().manual_seed(1))
    gradients = [torch.autograd.grad(output, (inputs, kernels), upstream) for output in (found, expected)]
    for mine, torchs in zip(*gradients, strict=True):
        assert torch.allclose(mine, torchs, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("groups", [1, 4, 8])
def test_equal_kernels_everywhere_are_a_grouped_convolution(groups: int) -> None:
    inputs, _ = operands(groups)
    shared = SHAPE[1] // groups
    weight = torch.randn(shared, 1, 3, 3, generator=torch.Generator().manual_seed(2))
    everywhere = weight.reshape(1, -1, 1, 1).expand(SHAPE[0], -1, *SHAPE[2:])
    expected = F.conv2d(inputs, weight.repeat(groups, 1, 1, 1), padding=1, groups=SHAPE[1])
    assert torch.allclose(LocalAggregation(groups)(inputs, everywhere), expected, rtol=1e-5, atol=1e-5)


def test_there_are_second_derivatives() -> None:
    tensors = [tensor[:1, :, :2, :2].double().detach().requires_grad_() for tensor in operands(8)]
    assert torch.autograd.gradgradcheck(LocalAggregation(8), tensors)


@pytest.mark.parametrize(("kernel", "groups"), [(5, 4), (7, 8), (11, 16)])
def test_parameters_follow_the_formula(kernel: int, groups: int) -> None:
    half, predicted = 16, 9 * 32 // groups
    perception = 32 * half + half * kernel**2 + half**2 + half * predicted + 6 * half + 3 * predicted
    assert count_parameters(LSConv(32, kernel, groups)) == perception + 2 * 32
    # Per pixel, only the weights of convolutions count; the aggregation counts as elementwise.
    assert count_macs(LSConv(32, kernel, groups), (1, 32, 3, 3)) == 9 * (perception - 6 * half - 3 * predicted)


def test_runtimes_compute_it(tmp_path: Path) -> None:
    openvino = pytest.importorskip("openvino")
    network = Network(Architecture({"name": "test"}, (), {}), LSConv(16))
    seed_weights(network, SHAPE, "seed")
    path = tmp_path / "x.onnx"
    # Compares with torch in ONNX Runtime.
    OnnxExporter().export(network, path, input_shape=SHAPE)
    assert not any(node.domain for node in onnx.load(str(path)).graph.node)
    inputs = torch.randn(SHAPE, generator=torch.Generator().manual_seed(3))
    expected = network.model(inputs).detach().numpy()
    settings = {"INFERENCE_PRECISION_HINT": "f32"}
    compiled = openvino.Core().compile_model(str(path), "CPU", settings)
    np.testing.assert_allclose(compiled([inputs.numpy()])[0], expected, rtol=1e-4, atol=1e-4 * expected.std())


@pytest.mark.parametrize("settings", [(15, 7, 5), (16, 7, 5), (16, 6, 8)])
def test_what_does_not_divide_is_refused(settings: tuple[int, int, int]) -> None:
    with pytest.raises(SpaceError, match=r"allowed: even channels"):
        LSConv(*settings)
