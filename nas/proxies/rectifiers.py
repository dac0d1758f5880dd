"""Intercepts calls of ReLU and its variants in a network, as modules, functions or methods of tensors."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from torch import Tensor
from torch.nn import functional
from torch.overrides import TorchFunctionMode

from nas.ops.activation import KIND

#: Activations that pass large inputs on and suppress negative ones. Gates, such as sigmoid, are none.
RECTIFIERS = ("relu", "relu6", "leaky_relu", "elu", "gelu", "silu", "hardswish", "mish")


class Rectifiers(TorchFunctionMode):
    """Calls ``see`` with the input of every rectifier within a block.

    Args:
        see: gets the input; if it returns a tensor, this is the output in place of the rectifier's own.
    """

    def __init__(self, see: Callable[[Tensor], Tensor | None]) -> None:
        super().__init__()
        self._see = see

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: Sequence[Any] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        """See ``TorchFunctionMode``."""
        given = dict(kwargs or {})
        if _kind(func, given) in RECTIFIERS:
            output = self._see(args[0] if args else given["input"])
            if output is not None:
                return output
        return func(*args, **given)


def _kind(func: Callable[..., Any], given: Mapping[str, Any]) -> str | None:
    """The kind of an activation; the module ``nn.ReLU6`` calls ``hardtanh``, whose settings are given by name."""
    if func is functional.hardtanh:
        return "relu6" if given.get("min_val") == 0 else None
    return KIND.get(func, KIND.get(getattr(func, "__name__", "")))
