"""What a weight takes where zeros of an N:M pattern are left out and indices say where the others go."""

from __future__ import annotations

import math
from typing import Any

import torch

from nas.sparsity import PATTERNS, Shape
from nas.sparsity.patterns.nm import NM


def packed_bits(module: Any, shape: Shape, bits: int) -> int:
    """Bits of a weight: of an N:M pattern, kept values and an index of log2(M) bits for each; otherwise all values.

    So 2:4 takes bits / 2 + 1 a weight. Output channels that share their choice share its index.

    Args:
        module: what a sparsity policy has noted on it tells the pattern.
        shape: of the weight.
        bits: of a value.
    """
    note = getattr(module, "policy_annotations", {}).get("sparsity", {})
    pattern = PATTERNS.get(note["pattern"]) if note else None
    if not isinstance(pattern, NM):
        return math.prod(shape) * bits
    pools = [tuple(pool.shape) for pool in pattern.pools(torch.empty(shape, device="meta"))]
    kept = [(groups * pattern.num_kept(atoms, pattern.n / pattern.m), size) for groups, atoms, size in pools]
    index = math.ceil(math.log2(pattern.m))
    return sum(count * (size * bits + index) for count, size in kept)
