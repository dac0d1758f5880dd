"""How much all paths through a network carry."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from nas.errors import ProxyError
from nas.proxies import Proxy, Sample
from nas.proxies.gradients import weights_of
from nas.proxies.rectifiers import Rectifiers

#: Norms that depend on the data in evaluation mode, too.
_NORMS = (nn.LayerNorm, nn.GroupNorm)


class SynFlow(Proxy):
    """Synaptic flow (Tanaka et al. 2020), as a proxy after Abdelfattah et al. 2021; it needs no data.

    All parameters are replaced by their absolute values, and norms by identities. R is the sum of the outputs for an
    input of ones, and the score is ``log(sum_w |w * dR/dw|)`` over the weights of convolutions and linear layers.
    Masks stay, so removed weights count 0. Variants of ReLU are identities, too, as ReLU itself is for positive values:
    a clipped one, such as ReLU6, would stop the flow. The papers use the sum itself; its logarithm orders networks in
    the same way. It is computed with 64 bits, because it grows exponentially with the depth.
    """

    num_batches = 0

    def score(self, model: nn.Module, sample: Sample) -> float:
        """See ``Proxy.score``."""
        model.double().eval()
        _make_positive(model)
        with Rectifiers(_unchanged):
            flow = model(torch.ones(sample.input_shape, dtype=torch.float64)).sum()
        weights = weights_of(model)
        if not flow.requires_grad or not weights:
            raise ProxyError("its outputs depend on no trainable weight")
        gradients = torch.autograd.grad(flow, weights, allow_unused=True)
        total = sum(
            float((weight.detach() * gradient).abs().sum())
            for weight, gradient in zip(weights, gradients, strict=True)
            if gradient is not None
        )
        if not 0 < total < math.inf:
            raise ProxyError(f"its flow is {total}, which has no logarithm")
        return math.log(total)


def _make_positive(model: nn.Module) -> None:
    """Make parameters positive, batch norms identities, and other norms return their inputs."""
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.abs_()
        for module in model.modules():
            if isinstance(module, _BatchNorm) and module.running_mean is not None:
                module.reset_parameters()
            elif isinstance(module, (_BatchNorm, *_NORMS)):
                module.register_forward_hook(lambda module, inputs, output: inputs[0])


def _unchanged(inputs: Tensor) -> Tensor:
    return inputs
