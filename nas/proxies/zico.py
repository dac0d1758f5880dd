"""How much gradients agree between minibatches."""

from __future__ import annotations

import math

import torch
from torch import nn

from nas.errors import ProxyError
from nas.proxies import Proxy, Sample
from nas.proxies.gradients import weight_gradients


class ZiCo(Proxy):
    """Inverse coefficient of variation of gradients over minibatches (ZiCo, Li et al. 2023).

    The score is ``sum_l log(sum_w mean|g_w| / std(g_w))``: ``g_w`` are the gradients of the weight w of layer l in two
    minibatches, and weights whose gradients do not differ are left out. The paper defines the standard deviation of
    ``|g_w|``; like the published code, this uses that of ``g_w``. Layers without such weights count 0.
    """

    num_batches = 2

    def score(self, model: nn.Module, sample: Sample) -> float:
        """See ``Proxy.score``."""
        terms = []
        for gradients in weight_gradients(model, sample):
            values = torch.stack(list(gradients)).double()
            spread = values.std(dim=0, correction=0)
            ratios = values.abs().mean(dim=0)[spread > 0] / spread[spread > 0]
            if len(ratios) and float(ratios.sum()) > 0:
                terms.append(math.log(float(ratios.sum())))
        if not terms:
            raise ProxyError("its gradients do not differ between minibatches")
        return sum(terms)
