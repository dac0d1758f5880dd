from __future__ import annotations

import pytest
import torch

from nas.quantization.scheme import Scheme, Symmetry
from nas.quantization.steps import (
    FULL_WEIGHT_LIMIT,
    WEIGHT_LIMIT,
    activation_steps,
    fake_quantize_weight,
    weight_groups,
    weight_steps,
)


@pytest.mark.parametrize(("low", "high"), [(-1.0, 3.0), (0.0, 6.0), (2.0, 6.0), (-5.0, -1.0), (-1e-3, 1e5)])
@pytest.mark.parametrize("symmetry", ["symmetric", "asymmetric"])
def test_activation_steps_hit_zero_and_span_the_range(low: float, high: float, symmetry: Symmetry) -> None:
    steps = activation_steps(low, high, Scheme(activations=symmetry))
    smallest, largest = (float(steps.values(torch.tensor(end))) for end in (0, 255))
    scale = float(steps.scale)
    assert smallest <= 0.0 <= largest
    assert smallest <= min(low, 0.0) + scale
    assert largest >= max(high, 0.0) - scale
    assert float(steps.fake_quantize(torch.tensor(0.0))) == 0.0
    if symmetry == "symmetric":
        assert int(steps.zero_point) == (128 if low < 0.0 else 0)
    else:
        span = max(high, 0.0) - min(low, 0.0)
        assert span * (1 - 1e-5) <= largest - smallest <= span + scale


def test_pixels_are_not_put_on_ties() -> None:
    """Each of 256 values around a mean that lies between two of them gets its own step, in every runtime."""
    pixels = (torch.arange(256) - 127.5) / 64.0
    steps = activation_steps(float(pixels.min()), float(pixels.max()), Scheme(activations="asymmetric"))
    exact = pixels.double() / steps.scale.double()
    assert ((exact - exact.floor() - 0.5).abs() > 1e-3).all()
    integers = steps.integers(pixels)
    assert len(integers.unique()) >= 255
    assert float((steps.values(integers) - pixels).abs().max()) <= float(steps.scale) * 0.5


def test_a_value_that_is_always_zero_has_a_scale() -> None:
    steps = activation_steps(0.0, 0.0, Scheme())
    assert (float(steps.scale), int(steps.zero_point)) == (1.0, 0)


@pytest.mark.parametrize("symmetry", ["symmetric", "asymmetric"])
@pytest.mark.parametrize(
    ("bits", "full_range", "span"),
    [(8, False, (-WEIGHT_LIMIT, WEIGHT_LIMIT)), (8, True, (-128, FULL_WEIGHT_LIMIT)), (4, False, (-8, 7))],
)
def test_weights_are_within_their_bits_and_half_a_step(
    symmetry: Symmetry, bits: int, full_range: bool, span: tuple[int, int]
) -> None:
    scheme = Scheme(weights=symmetry, full_range=full_range, block_size=16 if bits == 4 else None)
    weight = torch.randn(6, 5, 3, 3, generator=torch.Generator().manual_seed(0)) + 0.5
    weight[0, 0] = 0.0
    groups = weight_groups(weight, scheme, bits)
    steps = weight_steps(groups, bits, scheme)
    integers = steps.integers(groups)
    assert int(integers.min()) >= span[0]
    assert int(integers.max()) <= span[1]
    assert ((steps.fake_quantize(groups) - groups).abs() <= 0.501 * steps.scale).all()
    rounded = fake_quantize_weight(weight, bits, scheme)
    assert rounded.shape == weight.shape
    assert not rounded[0, 0].any(), "zeros stay zeros"


def test_blocks_that_do_not_divide_a_channel_are_none() -> None:
    weight = torch.randn(2, 21, generator=torch.Generator().manual_seed(0))
    assert weight_groups(weight, Scheme(block_size=16), 4).shape == (2, 1, 21)
    assert weight_groups(weight[:, :16], Scheme(block_size=16), 4).shape == (2, 1, 16)
    assert weight_groups(weight[:, :8].repeat(1, 4), Scheme(block_size=16), 4).shape == (2, 2, 16)


def test_rounding_twice_is_rounding_once() -> None:
    weight = torch.randn(8, 3, 3, 3, generator=torch.Generator().manual_seed(0))
    once = fake_quantize_weight(weight, 8, Scheme())
    assert torch.equal(fake_quantize_weight(once, 8, Scheme()), once)


def test_gradients_pass_where_values_are_within_the_range() -> None:
    values = torch.tensor([-3.0, -0.4, 0.2, 9.0], requires_grad=True)
    activation_steps(-1.0, 1.0, Scheme()).fake_quantize(values).sum().backward()
    assert values.grad is not None
    assert values.grad.tolist() == [0.0, 1.0, 1.0, 0.0]
