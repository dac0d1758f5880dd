"""Checks that removing masks and channels does not change what a network computes."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from nas.errors import SpaceError
from nas.space.modes import evaluating
from nas.user_code import describe_error

#: Largest difference of outputs, relative to the largest output; sums in another order differ by rounding.
TOLERANCE = 1e-3
_REMEDY = "leave this pattern out, or name in `search` the layers that policies may act on"


@contextmanager
def unchanged(model: nn.Module, input_shape: tuple[int, ...]) -> Iterator[None]:
    """Compare the outputs for two random inputs before and after the block; networks on the meta device are skipped.

    Raises:
        SpaceError: afterwards, the network's outputs differ or it can't run.
    """
    if not input_shape or any(parameter.is_meta for parameter in model.parameters()):
        yield
        return
    before = _answers(model, input_shape)
    yield
    try:
        after = _answers(model, input_shape)
    except Exception as error:
        raise SpaceError(
            f"{type(model).__name__} can't run without the channels that the pattern 'channels' removes: "
            f"{describe_error(error)}; {_REMEDY}"
        ) from error
    difference = (after - before).abs().max() if after.shape == before.shape else torch.tensor(torch.inf)
    # Outputs that are not finite are refused elsewhere.
    if before.isfinite().all() and not difference <= TOLERANCE * before.abs().max().clamp(min=1e-6):
        raise SpaceError(
            f"{type(model).__name__} answers differently (by {float(difference):.3g}) once the channels that the "
            f"pattern 'channels' removes are gone; {_REMEDY}"
        )


def _answers(model: nn.Module, input_shape: tuple[int, ...]) -> Tensor:
    device = next(model.parameters()).device
    generator = torch.Generator().manual_seed(0)
    inputs = torch.rand((2, *input_shape[1:]), generator=generator).to(device)
    with evaluating(model), torch.no_grad(), torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        answers: Tensor = model(inputs)
    return answers
