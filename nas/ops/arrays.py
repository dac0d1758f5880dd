"""Parameters as arrays, for files."""

from __future__ import annotations

import numpy as np
from torch import Tensor


def as_array(tensor: Tensor) -> np.ndarray:
    """Float32 values of a parameter, on the processor, in the order of its shape."""
    return tensor.detach().float().cpu().contiguous().numpy()
