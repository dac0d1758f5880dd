"""Predicts unknown inputs of the processes from the answers of a network."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
#: Penalty of the regression.
_RIDGE = 1.0


def regressed(codes: Floats, table: Floats, wanted: Floats) -> Floats:
    """Predict ``(m, t)`` for the codes ``wanted`` ``(m, k)``, from the ``table`` ``(n, t)`` of ``codes`` ``(n, k)``.

    The columns of the table should have the mean 0, which is what the regression predicts for average codes.
    """
    center = codes.mean(axis=0)
    centred = codes - center
    gram = centred.T @ centred + _RIDGE * np.eye(centred.shape[1])
    return np.asarray((wanted - center) @ (np.linalg.solve(gram, centred.T) @ table))
