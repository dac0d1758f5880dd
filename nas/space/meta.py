"""Networks on the meta device, built for their shapes without spending time on initial weights."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

_METHODS = ("uniform_", "normal_", "erfinv_", "clamp_", "zero_", "fill_", "mul_", "add_")
_INITIALISERS = ("uniform_", "normal_", "trunc_normal_", "constant_", "kaiming_uniform_")
#: Functions that fill a tensor in place and return it. On the meta device they have no effect but take time.
_FILLING = {getattr(Tensor, name) for name in _METHODS} | {getattr(nn.init, name) for name in _INITIALISERS}


class WithoutFilling(TorchFunctionMode):
    """Skips functions that fill tensors, for tensors on the meta device."""

    def __torch_function__(
        self, func: Any, types: Sequence[Any], args: Sequence[Any] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        """See ``TorchFunctionMode``."""
        if func in _FILLING:
            target = args[0] if args else (kwargs or {}).get("tensor")
            if isinstance(target, Tensor) and target.is_meta:
                return target
        return func(*args, **(kwargs or {}))
