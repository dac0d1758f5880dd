"""Scores a network with several proxies."""

from __future__ import annotations

import copy
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from nas.errors import NasError, ProxyError
from nas.estimators.batches import read_batches, size_of
from nas.estimators.randomness import permutation, seeded
from nas.proxies import PROXIES, Sample
from nas.user_code import describe_error

if TYPE_CHECKING:
    from nas.space import Network
    from nas.tasks import Task

#: Number of images of a minibatch; fewer if the data set has fewer.
BATCH_SIZE = 64


@dataclass(frozen=True)
class Scores:
    """The scores of a network.

    Attributes:
        values: proxy → finite score.
        missing: proxy → why it could not score the network.
    """

    values: dict[str, float] = field(default_factory=dict)
    missing: dict[str, str] = field(default_factory=dict)


def score_network(network: Network, task: Task, names: Sequence[str], seed: int) -> Scores:
    """Score an untrained network; the network is not changed.

    Args:
        network: a network with its initial weights, on the CPU.
        task: the task whose training data proxies use.
        names: proxies.
        seed: seed of the choice of the data.
    """
    found = Scores()
    for name in names:
        try:
            found.values[name] = _score(network, task, name, seed)
        except NasError as error:
            found.missing[name] = str(error)
        except Exception as error:  # the network and the task may be the user's code
            found.missing[name] = describe_error(error)
    return found


def _score(network: Network, task: Task, name: str, seed: int) -> float:
    proxy = PROXIES.get(name)()
    with seeded(seed, torch.device("cpu")):
        batches = list(_batches(task, proxy.num_batches, seed))
        sample = Sample((1, *task.input_shape), batches, task.loss)
        score = float(proxy.score(copy.deepcopy(network.model).eval(), sample))
    if not math.isfinite(score):
        raise ProxyError(f"its score is {score}")
    return score


def _batches(task: Task, count: int, seed: int) -> Iterator[tuple[Tensor, Tensor]]:
    """Minibatches of different images of the training split, drawn with the seed."""
    if not count:
        return
    data = task.dataset("train")
    size = min(BATCH_SIZE, size_of(data) // count)
    if size < 2:
        raise ProxyError(f"it needs {2 * count} training images, and the task has {size_of(data)}")
    yield from read_batches(data, permutation(size_of(data), seed)[: count * size], size)
