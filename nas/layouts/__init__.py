"""Layouts: how the residual functions of a stage are arranged.

A space with residual stages asks for a name of ``LAYOUTS`` and gives the layout, with its slots, to
``nas.layouts.residual_stage.ResidualStage``.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from nas.papers import Paper
from nas.registry import Registry

if TYPE_CHECKING:
    from torch import Tensor


class Layout(ABC):
    """Arranges functions ``f_1 … f_L`` from ``(N, C, H, W)`` to the same shape.

    A layout has no weights, so a stage has the same parameters under the same keys in every layout. To first order in
    the functions all layouts compute ``x + f_1(x) + … + f_L(x)``: without a function the input, with one ``x + f(x)``.
    """

    #: The paper it is from.
    paper: Paper | None = None

    @abstractmethod
    def arrange(self, functions: Sequence[Callable[[Tensor], Tensor]], inputs: Tensor) -> Tensor:
        """The stage's output for ``inputs``."""


LAYOUTS: Registry[type[Layout]] = Registry(
    "layouts",
    {"parallel": "nas.layouts.parallel:Parallel", "serial": "nas.layouts.serial:Serial"},
    subclasses_of=Layout,
)
