"""Compares the written files of a format with the network and with the measured file."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from torch import Tensor

from nas.errors import ExportError
from nas.export.checking.check import TOLERANCE, check_rounding, difference, file_answers
from nas.export.checking.expected import Expected, expect
from nas.export.formats import Format, Source
from nas.latency.runtimes import answering

#: Numbers of inputs at once with which a file for any number is compared.
BATCHES = (1, 3, 8)


def check_outputs(made: Format, source: Source, folder: Path, files: list[Path], inputs: Tensor, name: str) -> float:
    """Run the files of a format and return their largest difference from torch, in its output's standard deviations.

    A network in 32 bits may differ by at most ``TOLERANCE``. With fewer bits, the outputs must be those of the measured
    file, up to values that are rounded the other way (``check_rounding``).

    Args:
        made: the format.
        source: the network.
        folder: the exported folder.
        files: the files that the format wrote.
        inputs: validation inputs ``(M, C, H, W)``.
        name: name of the format.

    Raises:
        ExportError: the outputs differ by more.
    """
    expected = expect(source.network.model, inputs, source.artifact.input_shape[0])
    sizes = BATCHES if source.options.dynamic_batch else (None,)
    return max(_error(made, source, folder, files[0], expected, size, name) for size in sizes)


def _error(
    made: Format, source: Source, folder: Path, file: Path, expected: Expected, batch: int | None, name: str
) -> float:
    inputs = expected.inputs
    found = np.asarray(made.outputs(folder, inputs.numpy(), batch), dtype=np.float32)
    error = difference(found, expected, file)
    if source.fewest_bits < 32:
        measured, _ = file_answers(source.artifact.path, inputs, answering(source.runtime))
        check_rounding(measured, found, expected, file, runtime=f"the format {name!r}")
    elif not error <= TOLERANCE:
        raise ExportError(
            f"format {name!r}: {file.name} differs from the network by {error:.3g} standard deviations of its "
            f"output (allowed: {TOLERANCE:g}); leave this format out"
        )
    return error
