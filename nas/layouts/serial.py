"""One after the other, as residual networks are."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from nas.layouts import Layout

if TYPE_CHECKING:
    from torch import Tensor


class Serial(Layout):
    """``x ← x + f_l(x)`` for each function."""

    def arrange(self, functions: Sequence[Callable[[Tensor], Tensor]], inputs: Tensor) -> Tensor:
        """See ``Layout.arrange``."""
        for function in functions:
            inputs = inputs + function(inputs)
        return inputs
