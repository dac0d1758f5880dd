"""Quantization-aware training: weights are rounded by a parametrization, activations by a hook before each layer."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize
from torch.utils.hooks import RemovableHandle

from nas.quantization.scheme import Scheme
from nas.quantization.steps import activation_steps, fake_quantize_weight

#: Share of each training batch in the running range of an input.
MOMENTUM = 0.05
_RANGE = "input_range"


class _Switched(nn.Module):
    """Rounds once it is switched on; the switch is a buffer, so averages and checkpoints include it."""

    of_policy = True
    on: Tensor

    def __init__(self, scheme: Scheme) -> None:
        super().__init__()
        self.scheme = scheme
        self.register_buffer("on", torch.zeros((), dtype=torch.bool))

    @property
    def active(self) -> bool:
        """Whether to round; networks on the meta device are never rounded."""
        return not self.on.is_meta and bool(self.on)


class RoundedWeight(_Switched):
    """Parametrization that rounds a weight to the values that its 8 or 4 bits represent."""

    def __init__(self, bits: int, scheme: Scheme) -> None:
        super().__init__(scheme)
        self.bits = bits

    def forward(self, weight: Tensor) -> Tensor:
        """Round a weight ``(O, …)``; the shape stays the same."""
        return fake_quantize_weight(weight, self.bits, self.scheme) if self.active else weight


class RoundedInput(_Switched):
    """Rounds a layer's input, within the running range of the inputs seen in training."""

    range: Tensor

    def __init__(self, scheme: Scheme) -> None:
        super().__init__(scheme)
        self.register_buffer("range", torch.zeros(2))

    def forward(self, value: Tensor) -> Tensor:
        """Round a tensor of any shape; shape and type stay the same."""
        if self.training:
            self._observe(value.detach())
        if not self.active:
            return value
        steps = activation_steps(self.range[0], self.range[1], self.scheme)
        return steps.fake_quantize(value.float()).to(value.dtype)

    @torch.no_grad()
    def _observe(self, value: Tensor) -> None:
        low, high = torch.aminmax(value.float())
        batch = torch.stack([low.clamp(max=0.0), high.clamp(min=0.0)])
        self.range.copy_(torch.where(self.range.any(), torch.lerp(self.range, batch, MOMENTUM), batch))


def attach(module: nn.Module, bits: int, scheme: Scheme) -> RemovableHandle | None:
    """Prepare a layer for rounding to ``bits`` (8 or 4), and return the handle of its hook if its input is rounded.

    Nothing is rounded until ``switch``. The hook does not appear in traced graphs, where a layer is a single node.
    """
    device = next(module.parameters()).device
    if isinstance(module._parameters.get("weight"), Tensor) or parametrize.is_parametrized(module, "weight"):
        # Unsafe skips a check that would only confirm that rounding keeps the shape.
        parametrize.register_parametrization(module, "weight", RoundedWeight(bits, scheme).to(device), unsafe=True)
    if bits != 8:
        return None
    module.add_module(_RANGE, RoundedInput(scheme).to(device))
    return module.register_forward_pre_hook(_round_input)


def switch(model: nn.Module, on: bool) -> None:
    """Turn rounding on or off in every prepared layer."""
    for module in model.modules():
        if isinstance(module, _Switched):
            module.on.fill_(on)


def detach(module: nn.Module, handle: RemovableHandle | None) -> None:
    """Undo ``attach``: the layer gets back its unrounded weights; other parametrizations stay."""
    if handle is not None:
        handle.remove()
        delattr(module, _RANGE)
    if not parametrize.is_parametrized(module, "weight"):
        return
    stacked: Any = module.parametrizations["weight"]  # type: ignore[index]
    for index in reversed(range(len(stacked))):
        if isinstance(stacked[index], RoundedWeight):
            del stacked[index]
    if not len(stacked):
        parametrize.remove_parametrizations(module, "weight", leave_parametrized=False)


def is_own_hook(hook: Any) -> bool:
    """Whether a forward pre-hook was registered by ``attach``."""
    return hook is _round_input


def _round_input(module: nn.Module, inputs: tuple[Any, ...]) -> tuple[Any, ...]:
    """Forward pre-hook that rounds the input; a plain function, so that copies of a network use their own ranges."""
    rounded: RoundedInput = getattr(module, _RANGE)
    return (rounded(inputs[0]), *inputs[1:])
