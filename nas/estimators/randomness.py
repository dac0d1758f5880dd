"""Random numbers that depend only on the position of a training, so that it can be resumed at any point."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch
from torch import Tensor


@contextmanager
def seeded(seed: int, device: torch.device) -> Iterator[None]:
    """Seed the global generators of Python, numpy and torch for the block, and restore them afterwards.

    Augmentation, mixing and dropout use these generators. cuDNN uses only deterministic algorithms within the block.
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
    """A random order ``(size,)`` of the items of an epoch."""
    return torch.randperm(size, generator=torch.Generator().manual_seed(seed))
