"""The storage format of sparse weights for the kernels: for each block of outputs, the inputs that it reads."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nas.errors import MeasureError

#: Numbers of adjacent outputs per block that the kernels are compiled for.
ROWS = (1, 2, 4)

Floats = NDArray[np.float32]
Integers = NDArray[np.int32]


@dataclass(frozen=True, eq=False)
class SparseWeights:
    """Weights ``(outputs, inputs)`` in blocks of ``rows`` adjacent outputs; the last block may have fewer.

    Block b reads the inputs ``columns[starts[b]:starts[b + 1]]``, in ascending order.
    """

    outputs: int
    inputs: int
    rows: int
    #: ``(blocks + 1,)``
    starts: Integers
    #: ``(entries,)``
    columns: Integers
    #: ``(entries * rows,)``: each entry's values of all rows, side by side; zero for rows that the last block lacks.
    values: Floats

    @classmethod
    def of(cls, weight: Floats, rows: int) -> SparseWeights:
        """Convert a dense weight ``(outputs, inputs)``.

        Raises:
            MeasureError: the weight is not a float32 matrix, or no kernel has blocks of ``rows`` outputs.
        """
        blocks = _blocks(weight, rows)
        read = (blocks != 0).any(1)
        block, column = read.nonzero()
        starts = np.concatenate([[0], read.sum(1).cumsum()]).astype(np.int32)
        outputs, inputs = weight.shape
        return cls(outputs, inputs, rows, starts, column.astype(np.int32), blocks[block, :, column].reshape(-1))

    def dense(self) -> Floats:
        """The dense weight ``(outputs, inputs)``."""
        blocks = np.zeros((len(self.starts) - 1, self.rows, self.inputs), np.float32)
        block = np.repeat(np.arange(len(blocks)), np.diff(self.starts))
        blocks[block, :, self.columns] = self.values.reshape(-1, self.rows)
        return blocks.reshape(len(blocks) * self.rows, self.inputs)[: self.outputs]


def fill(weight: Floats, rows: int) -> float:
    """Number of stored values per non-zero: 1 if the zeros fill whole blocks of ``rows`` outputs, at most ``rows``.

    Raises:
        MeasureError: for the reasons of ``SparseWeights.of``.
    """
    stored = rows * int((_blocks(weight, rows) != 0).any(1).sum())
    return stored / np.count_nonzero(weight) if stored else 1.0


def _blocks(weight: Floats, rows: int) -> Floats:
    """The weight as ``(blocks, rows, inputs)``; the last block is filled up with zeros."""
    if rows not in ROWS:
        raise MeasureError(f"sparse weights: blocks of {rows} outputs; allowed: {', '.join(map(str, ROWS))}")
    if weight.ndim != 2 or weight.dtype != np.float32:
        raise MeasureError(f"sparse weights: {weight.dtype} {weight.shape}; allowed: float32 (outputs, inputs)")
    outputs, inputs = weight.shape
    num_blocks = -(-outputs // rows)
    padded = np.zeros((num_blocks * rows, inputs), np.float32)
    padded[:outputs] = weight
    return padded.reshape(num_blocks, rows, inputs)
