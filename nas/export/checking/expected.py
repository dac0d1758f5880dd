"""The outputs that a file must have: those of the trained network in eval mode, run by torch with all hooks."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from nas.errors import ExportError
from nas.export.checking.randomness import check_repeatable
from nas.export.ranges import device_of

#: Outputs count as constant if they vary by less than this share of their largest value.
CONSTANT = 1e-7


@dataclass(frozen=True)
class Expected:
    """Outputs of a network in 32 bits for a few inputs."""

    inputs: Tensor
    outputs: np.ndarray
    #: Standard deviation of the outputs, which is the unit of all tolerances.
    spread: float


def expect(model: nn.Module, inputs: Tensor, batch: int) -> Expected:
    """Run the network, and run it again to see whether it is random.

    Args:
        model: the network in eval mode.
        inputs: ``(M, C, H, W)``.
        batch: batch size of the file.

    Raises:
        ExportError: the network is random, an output is not finite, or the output is the same for all inputs.
    """
    first = answers(model, inputs, batch)
    outputs = first.float().cpu().numpy()
    if not np.isfinite(outputs).all():
        raise ExportError("the network's output is not finite; check its weights")
    check_repeatable(lambda: answers(model, inputs, batch), first)
    spread, largest = float(outputs.std()), float(np.abs(outputs).max())
    if not spread > CONSTANT * largest:
        raise ExportError(
            f"the network's output is {largest:.3g} whatever the input, so nothing can be checked; its weights may be "
            "untrained (seed_weights) or the signal dies on the way"
        )
    return Expected(inputs, outputs, spread)


def answers(model: nn.Module, inputs: Tensor, batch: int, before: Callable[[], None] = lambda: None) -> Tensor:
    """The output of a network for ``inputs`` in batches of ``batch``; ``before`` is called before each batch.

    Raises:
        ExportError: the network returns something other than one tensor.
    """
    device, parts = device_of(model), []
    with torch.no_grad():
        for part in torch.split(inputs, batch):
            before()
            filling = part[-1:].expand(batch - len(part), *part.shape[1:])
            found = model(torch.cat([part, filling]).to(device))
            if not isinstance(found, Tensor):
                kind = type(found).__name__
                raise ExportError(f"the network returns a {kind}; a deployed network returns one tensor")
            parts.append(found[: len(part)])
    return torch.cat(parts)
