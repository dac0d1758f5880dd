"""Training a network as it will be rounded: weights by a parametrization, activations before each layer."""

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
    """Rounds once it is switched on; its state travels with averages and checkpoints."""

    of_policy = True
    on: Tensor

    def __init__(self, scheme: Scheme) -> None:
        super().__init__()
        self.scheme = scheme
        self.register_buffer("on", torch.zeros((), dtype=torch.bool))

    @property
    def active(self) -> bool:
        """Whether to round; shapes without values are left as they are."""
        return not self.on.is_meta and bool(self.on)


class RoundedWeight(_Switched):
    """Parametrization of a weight: what its 8 or 4 bits stand for."""

    def __init__(self, bits: int, scheme: Scheme) -> None:
        super().__init__(scheme)
        self.bits = bits

    def forward(self, weight: Tensor) -> Tensor:
        """``(O, …)`` to the same shape."""
        return fake_quantize_weight(weight, self.bits, self.scheme) if self.active else weight


class RoundedInput(_Switched):
    """Rounds a layer's input within the running range of what it saw in training."""

    range: Tensor

    def __init__(self, scheme: Scheme) -> None:
        super().__init__(scheme)
        self.register_buffer("range", torch.zeros(2))

    def forward(self, value: Tensor) -> Tensor:
        """Any shape to the same shape and type."""
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
    """Prepare a layer with 8 bits, or with weights of 4; the handle of its hook, if its input is rounded.

    Nothing changes until ``switch``. A layer is one node of the traced graph, whose hooks tracing does not see.
    """
    device = next(module.parameters()).device
    if isinstance(module._parameters.get("weight"), Tensor) or parametrize.is_parametrized(module, "weight"):
        # Rounding on a shape without values would only say that the shape is kept.
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
    """Undo ``attach``: an ordinary layer with the weights behind the rounding; other parametrizations stay."""
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
    """Whether a module's forward pre-hook is that of ``attach``."""
    return hook is _round_input


def _round_input(module: nn.Module, inputs: tuple[Any, ...]) -> tuple[Any, ...]:
    """Forward pre-hook. A plain function, so that copies of a network round by their own ranges."""
    rounded: RoundedInput = getattr(module, _RANGE)
    return (rounded(inputs[0]), *inputs[1:])
