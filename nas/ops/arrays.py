"""Parameters as arrays that files are written from."""

from __future__ import annotations

import numpy as np
from torch import Tensor


def as_array(tensor: Tensor) -> np.ndarray:
    """The values of a parameter as a contiguous float32 array."""
    return tensor.detach().float().cpu().contiguous().numpy()
