"""The norm of the gradient before the training."""

from __future__ import annotations

import math

from torch import nn

from nas.errors import ProxyError
from nas.proxies import Proxy, Sample
from nas.proxies.gradients import weight_gradients


class GradNorm(Proxy):
    """Norm of the gradient of the first training step (``grad_norm`` of Abdelfattah et al. 2021).

    The score is ``log(sum_l ||dL/dW_l||)``: L is the loss of one minibatch, and ``W_l`` are the weights of convolutions
    and linear layers. In the paper, the score is the sum itself; its logarithm orders networks in the same way.
    """

    num_batches = 1

    def score(self, model: nn.Module, sample: Sample) -> float:
        """See ``Proxy.score``."""
        total = sum(float(gradients[0].norm()) for gradients in weight_gradients(model, sample))
        if total == 0:
            raise ProxyError("the gradients of all its weights are 0")
        return math.log(total)
