"""Random numbers that are a function of where a training is, so that it can be continued anywhere."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch
from torch import Tensor


@contextmanager
def seeded(seed: int, device: torch.device) -> Iterator[None]:
    """Start the global generators of Python, numpy and torch from ``seed``; put them back afterwards.

    Augmentation, mixing and dropout draw from these three; cuDNN is kept to its deterministic algorithms.
    """
    python_state, numpy_state = random.getstate(), np.random.get_state()
    devices = [device] if device.type == "cuda" else []
    cudnn = torch.backends.cudnn.flags(enabled=True, benchmark=False, deterministic=True)
    try:
        with torch.random.fork_rng(devices=devices), cudnn:
            random.seed(seed)
            np.random.seed(seed)
            torch.manual_seed(seed)
            yield
    finally:
        random.setstate(python_state)
        np.random.set_state(numpy_state)


def permutation(size: int, seed: int) -> Tensor:
    """The order ``(size,)`` in which an epoch sees its data."""
    return torch.randperm(size, generator=torch.Generator().manual_seed(seed))
