from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from onnx import numpy_helper
from torch import Tensor, nn
from torch.nn import functional as F

from nas.errors import SpaceError
from nas.export.onnx import OnnxExporter
from nas.graph.identity import count_parameters, graph_identity, layers
from nas.layers.sparse import SparseConv2d, SparseLinear, num_kept
from nas.space import Architecture, Network
from nas.space.site import find_sites

LAYERS = {
    "conv": lambda kept: SparseConv2d(6, 10, 1, kept=kept),
    "conv3": lambda kept: SparseConv2d(6, 10, 3, padding=1, stride=2, kept=kept),
    "grouped": lambda kept: SparseConv2d(6, 10, 3, groups=2, bias=False, kept=kept),
    "linear": lambda kept: SparseLinear(6, 10, kept=kept),
}


def inputs_of(layer: nn.Module) -> Tensor:
    torch.manual_seed(1)
    return torch.randn(3, 6, 5, 5) if isinstance(layer, nn.Conv2d) else torch.randn(3, 6)


def dense_output(layer: SparseConv2d | SparseLinear, weight: Tensor) -> Tensor:
    inputs = inputs_of(layer)
    if isinstance(layer, nn.Linear):
        return F.linear(inputs, weight, layer.bias)
    assert isinstance(layer.padding, tuple)
    return F.conv2d(inputs, weight, layer.bias, layer.stride, layer.padding, layer.dilation, layer.groups)


def top(layer: SparseConv2d | SparseLinear, count: int) -> Tensor:
    """The mask, found by sorting instead of the layer's own method."""
    sizes = layer.scores.detach().abs().flatten().numpy()
    mask = np.zeros(sizes.size, dtype=np.float32)
    mask[np.argsort(-sizes)[:count]] = 1
    return torch.from_numpy(mask).view(layer.scores.shape)


@pytest.mark.parametrize("kind", LAYERS)
@pytest.mark.parametrize("kept", [0.01, 0.07, 0.1, 0.3, 0.5])
def test_forward_is_the_dense_op_of_the_mask(kind: str, kept: float) -> None:
    layer = LAYERS[kind](kept)
    nn.init.normal_(layer.scores)
    size = layer.weight.numel()
    expected = dense_output(layer, layer.weight * top(layer, num_kept(kept, size)))
    assert torch.allclose(layer(inputs_of(layer)), expected, atol=1e-5)
    assert int(layer.masked_weight.count_nonzero()) == num_kept(kept, size)


@pytest.mark.parametrize("kind", LAYERS)
def test_kept_1_is_the_dense_layer(kind: str) -> None:
    layer = LAYERS[kind](1.0)
    assert torch.equal(layer(inputs_of(layer)), dense_output(layer, layer.weight))


def test_a_fraction_is_the_decimal_number_it_is_written_as() -> None:
    assert [num_kept(kept, 100) for kept in (0.07, 0.005, 0.1, 0.29, 1.0)] == [7, 1, 10, 29, 100]
    assert num_kept(0.1, 3) == 1


@pytest.mark.parametrize("kind", LAYERS)
def test_scores_start_in_the_order_of_the_weights(kind: str) -> None:
    layer = LAYERS[kind](0.3)
    fan_in = layer.weight[0].numel()
    expected = (6 / fan_in) ** 0.5 * layer.weight / layer.weight.abs().max()
    assert torch.allclose(layer.scores, expected)
    nn.init.normal_(layer.weight)
    layer.reset_scores()
    kept = layer.masked_weight.detach().abs()
    assert kept[kept > 0].min() > layer.weight.detach().abs()[kept == 0].max()


def test_the_masks_gradient_passes_straight_to_the_scores() -> None:
    layer = SparseLinear(6, 10, kept=0.3)
    (layer(inputs_of(layer)) ** 2).sum().backward()
    weight = (layer.weight * top(layer, 18)).detach().requires_grad_()
    (dense_output(layer, weight) ** 2).sum().backward()
    assert weight.grad is not None
    assert torch.allclose(layer.scores.grad, weight.grad * layer.weight * layer.scores.sign(), atol=1e-5)
    assert torch.allclose(layer.weight.grad, weight.grad * top(layer, 18), atol=1e-5)


def test_a_weight_that_was_out_comes_back() -> None:
    torch.manual_seed(0)
    layer = SparseLinear(4, 1, bias=False, kept=0.25)
    with torch.no_grad():
        layer.weight.fill_(1.0)
        layer.scores.copy_(torch.tensor([[1.0, 0.9, 0.1, 0.1]]))
    optimizer = torch.optim.SGD([layer.scores], lr=0.1)
    inputs = torch.randn(64, 4)
    for _ in range(50):
        optimizer.zero_grad()
        ((layer(inputs)[:, 0] - inputs[:, 1]) ** 2).mean().backward()
        optimizer.step()
    assert layer.masked_weight.detach().tolist() == [[0.0, 1.0, 0.0, 0.0]]


def network(kept: float) -> Network:
    torch.manual_seed(0)
    blocks = nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU(), SparseConv2d(8, 16, 1, bias=False, kept=kept))
    tail = nn.Sequential(nn.BatchNorm2d(16), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten())
    return Network(Architecture({}, (), {}), nn.Sequential(*blocks, *tail, SparseLinear(16, 10, kept=kept)))


def nonzeros(path: Path) -> dict[tuple[int, ...], int]:
    arrays = [numpy_helper.to_array(item) for item in onnx.load(str(path)).graph.initializer]
    return {array.shape: int(np.count_nonzero(array)) for array in arrays if array.ndim > 1}


def test_batch_norm_is_folded_and_the_zeros_stay(tmp_path: Path) -> None:
    path = tmp_path / "model.onnx"
    artifact = OnnxExporter().export(network(0.25), path, input_shape=(1, 3, 8, 8))
    assert artifact.route == "fx"
    assert [node.op_type for node in onnx.load(str(path)).graph.node].count("BatchNormalization") == 0
    assert nonzeros(path) == {(8, 3, 3, 3): 216, (16, 8, 1, 1): 32, (10, 16): 40}


def test_masked_weights_become_integers(tmp_path: Path) -> None:
    found = network(0.25)
    found.bits = {path: 8 for path, module in found.model.named_modules() if hasattr(module, "weight")}
    inputs = torch.randn(32, 3, 8, 8)
    OnnxExporter().export(found, tmp_path / "model.onnx", input_shape=(1, 3, 8, 8), calibration=inputs)
    counts = nonzeros(tmp_path / "model.onnx")
    # Rounding to 7 bits may add zeros and never removes any.
    assert 24 < counts[16, 8, 1, 1] <= 32
    assert 30 < counts[10, 16] <= 40


def test_scores_are_no_parameters_of_what_ships() -> None:
    sparse = network(0.25).model
    dense = nn.Sequential(nn.Conv2d(3, 8, 3), nn.Conv2d(8, 16, 1, bias=False), nn.BatchNorm2d(16), nn.Linear(16, 10))
    assert count_parameters(sparse) == count_parameters(dense)
    assert sum(row["parameters"] for row in layers(sparse, (1, 3, 8, 8), {})) == count_parameters(dense)


def test_kept_is_part_of_the_identity() -> None:
    identities = {graph_identity(network(kept).model, (1, 3, 8, 8), {}) for kept in (0.1, 0.2, 1.0)}
    assert len(identities) == 3


def test_bits_may_change_and_a_second_mask_may_not_come() -> None:
    sites = [site for site in find_sites(network(0.5).model) if site.module in ("2", "7")]
    assert {(site.kind, site.module, site.dense) for site in sites} == {
        ("weight", "2", True),
        ("activation", "2", False),
        ("channels", "2", False),
        ("weight", "7", True),
        ("activation", "7", False),
        ("channels", "7", False),
    }


@pytest.mark.parametrize("kept", [0.0, -0.1, 1.1])
def test_an_impossible_fraction_is_refused(kept: float) -> None:
    with pytest.raises(SpaceError, match="above 0, up to 1"):
        SparseConv2d(3, 4, 1, kept=kept)


def test_another_padding_is_refused() -> None:
    with pytest.raises(SpaceError, match="'circular'; allowed: 'zeros'"):
        SparseConv2d(3, 4, 3, padding_mode="circular", kept=0.5)
