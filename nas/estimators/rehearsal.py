"""One step of training with random inputs, which finds networks that can't be trained before a study spends time."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor

from nas.errors import NasError, SpaceError
from nas.user_code import describe_error

if TYPE_CHECKING:
    from nas.space import Network

#: Size of the batch; batch norms need more than one item.
BATCH = 2


def rehearse(network: Network) -> None:
    """Run a network with real weights forwards and backwards and finalize it; it can't be used afterwards.

    Raises:
        SpaceError: the network raises an exception, its outputs have different shapes in training and evaluation mode,
            or finalizing changes them.
    """
    who = f"{type(network.model).__name__}"
    generator = torch.Generator().manual_seed(0)
    inputs = torch.rand((BATCH, *network.input_shape[1:]), generator=generator)
    with torch.random.fork_rng(devices=[]):
        try:
            with torch.no_grad():
                deployed = network.model.eval()(inputs)
            answer = network.model.train()(inputs)
            _check_answer(answer, deployed, who)
            answer.float().square().mean().backward()
            network.finalize()
        except NasError:
            raise
        except Exception as error:
            raise SpaceError(
                f"{who} can't be trained: {describe_error(error)}, for inputs {tuple(inputs.shape)}; it must run in "
                "evaluation and training mode, and backwards"
            ) from error


def _check_answer(answer: object, deployed: object, who: str) -> None:
    if not isinstance(answer, Tensor) or not isinstance(deployed, Tensor) or answer.shape != deployed.shape:
        raise SpaceError(
            f"{who} returns {_described(answer)} in training mode and {_described(deployed)} in evaluation mode; both "
            "must be one tensor of the same shape"
        )


def _described(answer: object) -> str:
    return str(tuple(answer.shape)) if isinstance(answer, Tensor) else f"a {type(answer).__name__}"
