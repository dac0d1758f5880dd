"""Size of a stored weight."""

from __future__ import annotations

import math
from typing import Any

from nas.sparsity import PATTERNS, Shape


def packed_bits(module: Any, shape: Shape, bits: int) -> int:
    """Size of a weight in bits, as its sparsity pattern stores it; without a pattern, all values are stored.

    Args:
        module: the layer, on which a sparsity policy may have noted a pattern.
        shape: shape of the weight.
        bits: bits per value.
    """
    note = getattr(module, "policy_annotations", {}).get("sparsity", {})
    return PATTERNS.get(note["pattern"]).packed_bits(shape, bits) if note else math.prod(shape) * bits
