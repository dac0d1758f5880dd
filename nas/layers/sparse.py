"""Convolution and linear layer that learn which of their weights to keep, after DASS (Mousavi et al. 2022)."""

from __future__ import annotations

import math
from fractions import Fraction
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from nas.errors import SpaceError
from nas.space.site import Site


class _Scored(nn.Module):
    """A layer with a score for each weight: the common part of the convolution and the linear layer."""

    training_only = ("scores",)
    weight: Tensor
    kept: float

    def score(self, kept: float) -> None:
        """Make scores, so that the layer keeps a fraction of its weights.

        Raises:
            SpaceError: ``kept`` outside (0, 1].
        """
        if not 0.0 < kept <= 1.0:
            raise SpaceError(f"kept {kept}; allowed: above 0, up to 1 (a fraction of the weights)")
        self.kept = float(kept)
        self.scores = nn.Parameter(torch.empty_like(self.weight))
        self.reset_scores()

    def reset_scores(self) -> None:
        """Compute the scores from the current weights; call it after initialising the weights in another way.

        A score is ``sqrt(6 / fan_in) · w / max|w|``, as in HYDRA (Sehwag et al. 2020).
        """
        with torch.no_grad():
            factor = math.sqrt(6.0 / self.weight[0].numel())
            self.scores.copy_(factor * self.weight / self.weight.abs().max())

    @property
    def num_kept(self) -> int:
        """The number of weights that are kept."""
        return num_kept(self.kept, self.weight.numel())

    @property
    def masked_weight(self) -> Tensor:
        """The weight with ``num_kept`` non-zeros that the layer computes with."""
        return self.weight * _mask(self.scores, self.num_kept)


class SparseConv2d(_Scored, nn.Conv2d):
    """A convolution that computes with its ``num_kept`` weights of largest ``|score|``.

    The gradient of the mask passes straight through to the scores, so removed weights can come back. The layer ships as
    an ordinary convolution with the masked weight.

    Args:
        *args: as for ``nn.Conv2d``.
        kept: fraction of the weights to keep; 1 is the dense convolution.
        **kwargs: as for ``nn.Conv2d``; zero padding only.

    Raises:
        SpaceError: ``kept`` outside (0, 1], or another padding.
    """

    def __init__(self, *args: Any, kept: float, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if self.padding_mode != "zeros":
            raise SpaceError(f"SparseConv2d: padding_mode {self.padding_mode!r}; allowed: 'zeros'")
        self.score(kept)

    def sites(self, path: str) -> list[Site]:
        """The sites of the dense layer. The weight is dense for policies, because it has a mask already."""
        return _sites(self, path, self.in_channels)

    def forward(self, input: Tensor) -> Tensor:
        """``(N, C, H, W)`` → ``(N, C', H', W')``."""
        weight = self.masked_weight
        return F.conv2d(input, weight, self.bias, self.stride, self.padding, self.dilation, self.groups)


class SparseLinear(_Scored, nn.Linear):
    """A linear layer that computes with its ``num_kept`` weights of largest ``|score|``; see ``SparseConv2d``.

    Args:
        *args: as for ``nn.Linear``.
        kept: fraction of the weights to keep; 1 is the dense layer.
        **kwargs: as for ``nn.Linear``.

    Raises:
        SpaceError: ``kept`` outside (0, 1].
    """

    def __init__(self, *args: Any, kept: float, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.score(kept)

    def sites(self, path: str) -> list[Site]:
        """See ``SparseConv2d.sites``."""
        return _sites(self, path, self.in_features)

    def forward(self, input: Tensor) -> Tensor:
        """``(…, in_features)`` → ``(…, out_features)``."""
        return F.linear(input, self.masked_weight, self.bias)


def num_kept(kept: float, size: int) -> int:
    """``ceil(kept · size)``, computed in decimals: 0.07 of 100 weights are 7 weights, not 8."""
    return math.ceil(Fraction(str(kept)) * size)


def _mask(scores: Tensor, count: int) -> Tensor:
    """1 for the ``count`` largest ``|scores|``, otherwise 0; its gradient is that of ``|scores|``."""
    size = scores.abs()
    flat = size.detach().flatten()
    mask = torch.zeros_like(flat)
    mask[flat.topk(count, sorted=False).indices] = 1.0
    return mask.view_as(size) + (size - size.detach())


def _sites(layer: SparseConv2d | SparseLinear, path: str, inputs: int) -> list[Site]:
    return [
        Site("weight", path, tuple(layer.weight.shape), dense=True),
        Site("activation", path, (inputs,)),
        Site("channels", path, (len(layer.weight),)),
    ]
