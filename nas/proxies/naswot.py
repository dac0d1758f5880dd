"""How well the activations of a network tell images apart."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from nas.errors import ProxyError
from nas.proxies import Proxy, Sample
from nas.proxies.gradients import normalize_by_batch
from nas.proxies.rectifiers import RECTIFIERS, Rectifiers


class Naswot(Proxy):
    """Neural architecture search without training (NASWOT, Mellor et al. 2021).

    The code of an image tells, for every unit before an activation, whether its value is positive. The score is
    ``log|det K|``: ``K_ij`` is the number of units in which the codes of images i and j of a minibatch agree. The paper
    looks at ReLU; here, its smooth and clipped variants count, too, but not gates, such as sigmoid. Dropout is off.
    """

    num_batches = 1

    def score(self, model: nn.Module, sample: Sample) -> float:
        """See ``Proxy.score``."""
        inputs, _ = sample.batches[0]
        normalize_by_batch(model)
        total = torch.zeros(len(inputs), len(inputs), dtype=torch.float64)

        def add(values: Tensor) -> None:
            if values.numel() % len(inputs) == 0:  # otherwise, it does not have one part per image
                codes = (values.reshape(len(inputs), -1) > 0).double() * 2 - 1
                total.add_((codes.shape[1] + codes @ codes.T) / 2)

        with torch.no_grad(), Rectifiers(add):
            model(inputs)
        if not total.any():
            raise ProxyError(f"it has no activation of the kinds {', '.join(RECTIFIERS)}")
        sign, value = torch.linalg.slogdet(total)
        if sign == 0:
            raise ProxyError("its activations do not tell all images of the minibatch apart")
        return float(value)
