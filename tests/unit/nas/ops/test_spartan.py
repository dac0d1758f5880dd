from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from nas.errors import SpaceError
from nas.export.onnx import OnnxExporter
from nas.export.seeding import seed_weights
from nas.graph.identity import count_parameters
from nas.layers.spartan import ComplexScale, SpartanBlock, SpatialMixer, StrongestChannel
from nas.space import Architecture, Network

SHAPE = (2, 16, 6, 5)


def seeded(shape: tuple[int, ...] = SHAPE) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(0))


def test_complex_weights_turn_and_scale_pairs() -> None:
    scale, inputs = ComplexScale(16), seeded()
    pairs = inputs.permute(0, 2, 3, 1).reshape(2, 6, 5, 8, 2).contiguous()
    product = torch.view_as_complex(pairs) * torch.view_as_complex(scale.weight)
    as_complex = torch.view_as_real(product).flatten(3).permute(0, 3, 1, 2)
    size, angle = scale.weight.norm(dim=1), torch.atan2(scale.weight[:, 1], scale.weight[:, 0])
    rows = (angle.cos(), -angle.sin(), angle.sin(), angle.cos())
    rotation = size[:, None, None] * torch.stack(rows, 1).view(8, 2, 2)
    as_rotation = torch.einsum("pij,nhwpj->nhwpi", rotation, pairs).flatten(3).permute(0, 3, 1, 2)
    own, partner = scale.factors()
    as_real = inputs * own + inputs.view(2, 8, 2, 6, 5).flip(2).flatten(1, 2) * partner
    for expected in (as_complex, as_rotation, as_real):
        assert torch.allclose(scale(inputs), expected, rtol=1e-5, atol=1e-5)


def test_the_strongest_channel_is_added_to_all() -> None:
    guide, inputs = seeded((1, 3, 2, 2)), seeded((1, 6, 2, 2)) + 1.0
    found = StrongestChannel()(guide, inputs)
    for row in range(2):
        for column in range(2):
            strongest = int(guide[0, :, row, column].argmax())
            expected = inputs[0, :, row, column] + inputs[0, strongest, row, column]
            assert torch.allclose(found[0, :, row, column], expected)


def seen_by(branch: nn.Module, channels: int, size: int = 41) -> tuple[int, int]:
    """Rows and columns that the gradient of the centre pixel reaches."""
    inputs = torch.ones(1, channels, size, size, requires_grad=True)
    branch(inputs)[0, :, size // 2, size // 2].sum().backward()
    reached = inputs.grad.abs().sum((0, 1)) > 0
    places = reached.nonzero()
    return tuple(int(side) for side in places.max(0).values - places.min(0).values + 1)


@pytest.mark.parametrize("kernel", [3, 5])
@pytest.mark.parametrize("dilation", [1, 2, 4])
def test_kernel_and_dilation_give_the_stated_receptive_fields(kernel: int, dilation: int) -> None:
    mixer = SpatialMixer(16, kernel, dilation).eval()
    assert mixer.receptive_fields == (kernel, 1 + 2 * dilation * (kernel - 1))
    for branch, field in zip((mixer.near, mixer.far), mixer.receptive_fields, strict=True):
        assert seen_by(branch, 8) == (field, field)


def test_parameters_of_a_block() -> None:
    # Counted from the paper's description, for 16 channels and expansion 4.
    c, half, wide = 16, 8, 64
    gates = 2 * (2 * half * (half // 4) + half + half // 4)
    spatial = (c * half + half) + half + 3 * 9 * half * half + 2 * 2 * half + gates + (c * c + c)
    gate = 2 * wide * (c // 4) + wide + c // 4
    wave = 2 * (c * wide + wide) + wide + 9 * wide + 2 * wide + gate + (wide * c + c)
    assert count_parameters(SpartanBlock(16)) == spatial + wave + 2 * 2 * c + 2 * c


def test_runtimes_compute_it(tmp_path: Path) -> None:
    openvino = pytest.importorskip("openvino")
    network = Network(Architecture({"name": "test"}, (), {}), SpartanBlock(16, grouped=True))
    seed_weights(network, SHAPE, "seed")
    path = tmp_path / "x.onnx"
    # Compares with torch in ONNX Runtime.
    assert OnnxExporter().export(network, path, input_shape=SHAPE).route == "fx"
    inputs = seeded()
    expected = network.model(inputs).detach().numpy()
    compiled = openvino.Core().compile_model(str(path), "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    np.testing.assert_allclose(compiled([inputs.numpy()])[0], expected, rtol=1e-3, atol=1e-3 * expected.std())


@pytest.mark.parametrize("settings", [(12, 4, 3, 2), (16, 1, 3, 2), (16, 4, 4, 2), (16, 4, 3, 0)])
def test_what_does_not_fit_is_refused(settings: tuple[int, int, int, int]) -> None:
    with pytest.raises(SpaceError, match="allowed: multiples of 8"):
        SpartanBlock(*settings)
