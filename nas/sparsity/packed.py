"""What a weight takes in storage."""

from __future__ import annotations

import math
from typing import Any

from nas.sparsity import PATTERNS, Shape


def packed_bits(module: Any, shape: Shape, bits: int) -> int:
    """Bits of a weight: as its sparsity pattern stores it; all values if it has no pattern.

    Args:
        module: the layer; a sparsity policy has noted the pattern on it.
        shape: of the weight.
        bits: of a value.
    """
    note = getattr(module, "policy_annotations", {}).get("sparsity", {})
    return PATTERNS.get(note["pattern"]).packed_bits(shape, bits) if note else math.prod(shape) * bits
