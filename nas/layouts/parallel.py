"""All at once: a deep stage as a broad one."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from nas.layouts import Layout
from nas.papers import Paper

if TYPE_CHECKING:
    from torch import Tensor


class Parallel(Layout):
    """All functions get the input of the stage: ``x + Σ f(x)``.

    This is the first-order Taylor polynomial of the serial stage in its functions, after Make Deep Networks Shallow
    Again (Bermeitinger et al. 2023). The paths are shorter, and a runtime with several threads can compute them at the
    same time.
    """

    paper = Paper(
        52,
        "Make Deep Networks Shallow Again (Bermeitinger et al. 2023)",
        "tests/contracts/test_layouts.py::test_parallel_is_the_first_order_of_serial",
    )

    def arrange(self, functions: Sequence[Callable[[Tensor], Tensor]], inputs: Tensor) -> Tensor:
        """See ``Layout.arrange``."""
        outputs = inputs
        for function in functions:
            outputs = outputs + function(inputs)
        return outputs
