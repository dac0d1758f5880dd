"""Functions in series, each with a shortcut, as in residual networks."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from nas.layouts import Layout

if TYPE_CHECKING:
    from torch import Tensor


class Serial(Layout):
    """The functions follow one another: ``x ← x + f(x)``."""

    def arrange(self, functions: Sequence[Callable[[Tensor], Tensor]], inputs: Tensor) -> Tensor:
        """See ``Layout.arrange``."""
        for function in functions:
            inputs = inputs + function(inputs)
        return inputs
