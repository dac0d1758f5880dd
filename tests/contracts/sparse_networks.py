"""Networks of plain_convnet with a sparsity policy."""

from __future__ import annotations

from typing import Any

from torch import nn

from nas.space import Network
from nas.space.chooser import PositionChooser
from nas.space.sampling import Searched
from nas.sparsity.policy import Sparsity
from nas.tasks import make_task
from search_spaces.plain_convnet import PlainConvNet

TASK = make_task("digits", image_size=8)
SHAPE = (1, *TASK.input_shape)


def searched(**parameters: Any) -> Searched:
    given = {"name": "sparsity", "schedule": "one_shot", **parameters}
    return Searched(PlainConvNet(), {"name": "plain_convnet"}, (given,), TASK)


def build(seed: int = 0, **parameters: Any) -> Network:
    """A network of medium size, at density 0.3 by default."""
    space = searched(**{"densities": [0.3], **parameters})
    return space.build(space.sample(PositionChooser(0.4)).architecture, seed)


def dense(seed: int = 0) -> Network:
    return build(seed, densities=[1.0])


def weighted(model: nn.Module) -> dict[str, nn.Module]:
    return {path: part for path, part in model.named_modules() if isinstance(part, nn.Conv2d | nn.Linear)}


def policy_of(network: Network) -> Sparsity:
    (policy,) = network.policies
    assert isinstance(policy, Sparsity)
    return policy


def prune(network: Network) -> Network:
    """Bring an untrained network's masks to their final density, and leave them on."""
    policy = policy_of(network)
    policy.schedule.finish(network.model, policy._attached.parts)
    return network
