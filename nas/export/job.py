"""One export: everything that is needed to write a file and to check it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from torch import Tensor

from nas.export.checking.check import check_explained, check_rounding, difference, file_answers
from nas.export.checking.expected import Expected
from nas.export.checking.rounding import rounded_answers
from nas.space import Network

#: Number of inputs that calibrate the rounding to which a file's distance is compared.
NUM_ROUNDED = 32


@dataclass(frozen=True)
class ExportJob:
    """A network that is being written to a file."""

    network: Network
    path: Path
    #: ``(N, C, H, W)``.
    input_shape: tuple[int, ...]
    #: Inputs ``(M, C, H, W)`` on which the ranges of 8-bit values are found.
    calibration: Tensor
    expected: Expected
    #: Name of the runtime that the file is checked in.
    runtime: str
    #: Nodes without an op, each with the path of the module that calls it.
    uncovered: tuple[str, ...] = ()

    def check_fewer_bits(self, simulation: Callable[[Tensor], Tensor] | None = None) -> float:
        """Check a file with fewer than 32 bits and return its ``difference`` from the network.

        Args:
            simulation: the network with the rounding of this file, if it can be simulated.

        Raises:
            ExportError: the outputs of the file differ from those of its simulation, or from those of the network by
                more than rounding explains.
        """
        found, _ = file_answers(self.path, self.expected.inputs, self.runtime)
        error = difference(found, self.expected, self.path)
        if simulation is not None:
            simulated = simulation(self.expected.inputs).float().cpu().numpy()
            check_rounding(simulated, found, self.expected, self.path, runtime=self.runtime)
        check_explained(self._rounded(), found, self.expected, self.path, runtime=self.runtime)
        return error

    def _rounded(self) -> np.ndarray:
        network, batch = self.network, self.input_shape[0]
        fewer = {path: bits for path, bits in network.bits.items() if bits < 32}
        calibration = self.calibration[: max(NUM_ROUNDED, batch)]
        return rounded_answers(network.model, fewer, self.expected, batch, calibration)
