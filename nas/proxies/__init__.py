"""Zero-cost proxies: scores of untrained networks that may tell how accurate the networks will be once trained."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from nas.registry import Registry

if TYPE_CHECKING:
    from torch import Tensor, nn


@dataclass(frozen=True)
class Sample:
    """What a network is scored with.

    Attributes:
        input_shape: shape of one input, ``(1, C, H, W)``.
        batches: minibatches of training data, each with inputs ``(N, C, H, W)`` and targets.
        loss: the task's training loss of outputs and targets, a scalar.
    """

    input_shape: tuple[int, ...]
    batches: Sequence[tuple[Tensor, Tensor]]
    loss: Callable[[Tensor, Tensor], Tensor]


class Proxy(ABC):
    """Scores a network before its training; larger scores suggest a higher accuracy.

    Scores of different tasks are not comparable. The random generators have a fixed seed while a network is scored.
    """

    #: Number of minibatches that are needed.
    num_batches: ClassVar[int]

    @abstractmethod
    def score(self, model: nn.Module, sample: Sample) -> float:
        """The score of a network.

        Args:
            model: a copy of the network with its initial weights, in evaluation mode; the proxy may change it.
            sample: the data; it has ``num_batches`` minibatches.

        Raises:
            ProxyError: the proxy is not defined for this network; the message says why.
        """


PROXIES: Registry[type[Proxy]] = Registry(
    "proxies",
    {
        "grad_norm": "nas.proxies.grad_norm:GradNorm",
        "naswot": "nas.proxies.naswot:Naswot",
        "synflow": "nas.proxies.synflow:SynFlow",
        "zico": "nas.proxies.zico:ZiCo",
    },
    subclasses_of=Proxy,
)
