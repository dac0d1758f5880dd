"""The formulas of zero-cost proxies, on networks that are small enough to compute them by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from nas.errors import ProxyError
from nas.layers.sparse import SparseLinear
from nas.ops.activation import TARGETS
from nas.proxies import Sample
from nas.proxies.grad_norm import GradNorm
from nas.proxies.naswot import Naswot
from nas.proxies.rectifiers import RECTIFIERS, Rectifiers
from nas.proxies.synflow import SynFlow
from nas.proxies.zico import ZiCo


def batches(count: int, size: int = 6, features: int = 5) -> list[tuple[Tensor, Tensor]]:
    generator = torch.Generator().manual_seed(count)
    return [
        (torch.randn(size, features, generator=generator), torch.randn(size, 3, generator=generator))
        for _ in range(count)
    ]


def sample(count: int = 0, shape: tuple[int, ...] = (1, 5)) -> Sample:
    return Sample(shape, batches(count), functional.mse_loss)


def layers(width: int = 4, activation: nn.Module | None = None) -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(5, width), activation or nn.ReLU(), nn.Linear(width, 3)).eval()


# -- synflow


def test_synflow_of_linear_layers_is_the_sum_over_all_paths() -> None:
    """Every layer carries the whole flow R, so L layers without biases add up to L·R."""
    model = nn.Sequential(nn.Linear(5, 4, bias=False), nn.ReLU(), nn.Linear(4, 3, bias=False)).eval()
    first, second = (model[place].weight.detach().abs().double() for place in (0, 2))
    flow = float((second @ first).sum())
    assert SynFlow().score(model, sample()) == pytest.approx(math.log(2 * flow))


@pytest.mark.parametrize("norm", [nn.BatchNorm2d(8), nn.GroupNorm(2, 8)])
@pytest.mark.parametrize("activation", [nn.ReLU6(), nn.GELU(), nn.Hardswish()])
def test_synflow_looks_through_norms_and_activations(norm: nn.Module, activation: nn.Module) -> None:
    """With 100 times larger weights, the flow of two layers is 10,000 times larger, whatever is between them."""
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(1, 8, 3, bias=False), norm, activation, nn.Conv2d(8, 2, 3, bias=False)).eval()
    small = SynFlow().score(model, sample(shape=(1, 1, 8, 8)))
    with torch.no_grad():
        for layer in (model[0], model[3]):
            layer.weight.mul_(100.0)
    large = SynFlow().score(model.float(), sample(shape=(1, 1, 8, 8)))
    assert large - small == pytest.approx(math.log(1e4), rel=1e-4)


def test_synflow_grows_with_width_and_falls_with_sparsity() -> None:
    narrow, wide = (SynFlow().score(layers(width), sample()) for width in (4, 64))
    assert narrow < wide

    def sparse(kept: float) -> float:
        torch.manual_seed(0)
        return SynFlow().score(nn.Sequential(SparseLinear(5, 3, kept=kept)).eval(), sample())

    assert sparse(0.2) < sparse(0.6) < sparse(1.0)


def test_synflow_of_a_deep_network_is_finite() -> None:
    model = nn.Sequential(*(nn.Linear(256, 256) for _ in range(60))).eval()
    assert 60 < SynFlow().score(model, sample(shape=(1, 256))) < 600


# -- naswot


def test_naswot_counts_equal_signs() -> None:
    model, given = layers(32), sample(1)
    inputs = given.batches[0][0]
    codes = (model[0](inputs) > 0).numpy()
    kernel = [[np.sum(one == other) for other in codes] for one in codes]
    assert Naswot().score(model, given) == pytest.approx(np.linalg.slogdet(np.array(kernel, dtype=float))[1])


def test_naswot_prefers_wide_networks() -> None:
    scores = [Naswot().score(layers(width), sample(1)) for width in (16, 64, 256)]
    assert scores == sorted(scores)


def test_naswot_needs_activations_that_tell_images_apart() -> None:
    with pytest.raises(ProxyError, match="no activation of the kinds relu"):
        Naswot().score(layers(4, nn.Sigmoid()), sample(1))
    with pytest.raises(ProxyError, match="do not tell all images"):
        Naswot().score(layers(1), sample(1))


@pytest.mark.parametrize("kind", TARGETS)
def test_only_variants_of_relu_are_seen_and_in_every_form(kind: str) -> None:
    forms = [target() if isinstance(target, type) else target for target in TARGETS[kind]]
    for form in forms:
        seen: list[Tensor] = []
        value = torch.linspace(-2.0, 2.0, 5)
        with Rectifiers(lambda values, seen=seen: seen.append(values.clone())):  # type: ignore[misc]
            getattr(value, form)() if isinstance(form, str) else form(value)
        assert len(seen) == (kind in RECTIFIERS), form
        assert all(torch.equal(values, torch.linspace(-2.0, 2.0, 5)) for values in seen)


# -- gradients


def gradients(model: nn.Sequential, given: Sample) -> list[list[np.ndarray]]:
    """For each minibatch, the gradients of the weights of both layers."""
    found = []
    for inputs, targets in given.batches:
        model.zero_grad()
        given.loss(model(inputs), targets).backward()
        found.append([model[place].weight.grad.numpy().copy() for place in (0, 2)])  # type: ignore[union-attr,operator]
    return found


def test_grad_norm_sums_the_norms_of_layers() -> None:
    model, given = layers(), sample(1)
    expected = sum(np.linalg.norm(gradient) for gradient in gradients(model, given)[0])
    assert GradNorm().score(model, given) == pytest.approx(math.log(expected), rel=1e-5)


def test_zico_sums_the_logarithms_of_layers() -> None:
    model, given = layers(), sample(2)
    expected = 0.0
    for layer in zip(*gradients(model, given), strict=True):
        pair = np.stack(layer).astype(np.float64)
        spread = pair.std(axis=0)
        expected += np.log((np.abs(pair).mean(axis=0)[spread > 0] / spread[spread > 0]).sum())
    assert ZiCo().score(model, given) == pytest.approx(expected, rel=1e-4)


def test_zico_is_larger_if_gradients_agree() -> None:
    """Minibatches of similar images have similar gradients."""
    model, ((inputs, targets), (others, _)) = layers(), batches(2)
    scores = [
        ZiCo().score(model, Sample((1, 5), [(inputs, targets), (near, targets)], functional.mse_loss))
        for near in (inputs + 0.01 * others, inputs + others)
    ]
    assert scores[0] > scores[1]


def test_networks_without_gradients_have_a_reason() -> None:
    frozen = layers().requires_grad_(False)
    for proxy, count in ((GradNorm(), 1), (ZiCo(), 2), (SynFlow(), 0)):
        with pytest.raises(ProxyError, match="no trainable weight"):
            proxy.score(frozen, sample(count))
    dead = layers()
    nn.init.constant_(dead[0].bias, -1e6)
    nn.init.zeros_(dead[2].weight)
    with pytest.raises(ProxyError, match="are 0"):
        GradNorm().score(dead, sample(1))
