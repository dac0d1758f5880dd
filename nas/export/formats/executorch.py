"""ExecuTorch's file."""

from __future__ import annotations

from typing import ClassVar

from nas.export.formats.environment import EnvironmentFormat


class ExecuTorch(EnvironmentFormat):
    """``model.pte``: ExecuTorch's file, whose layers run in XNNPACK where it has them, otherwise in portable kernels.

    It holds 8, 16 and 32 bits, and zeros; layers with 8 bits compute with integers. It does not hold weights of 4 bits,
    and operators that ExecuTorch lacks, such as complex numbers or an adaptive maximum. ``--format-python
    executorch=PATH`` names the Python of an environment with ExecuTorch.
    """

    requires: ClassVar[dict[str, str]] = {"executorch": "executorch", "torch": "torch"}
    opener = "nas.export.formats.openers.executorch"
    name = "executorch"
    file = "model.pte"
