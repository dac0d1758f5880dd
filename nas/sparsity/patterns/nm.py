"""N:M patterns: N of every M weights along the inputs are kept."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from nas.papers import Paper
from nas.sparsity import Pattern, Shape


class NM(Pattern):
    """An output channel keeps ``n`` of every ``m`` consecutive inputs, at each position of the kernel.

    The density is fixed at n / m. Of r leftover inputs, ⌈n·r / m⌉ are kept. With ``rows`` > 1, that many adjacent
    output channels keep the same inputs; leftover channels share theirs among themselves. While a schedule is still at
    a density above n / m, the pattern keeps ⌈density · m⌉.
    """

    structure = "semi-structured"
    paper = Paper(
        23,
        "N:M training, BDWP (Fang et al. 2023)",
        "tests/unit/nas/sparsity/test_patterns.py::test_n_of_every_m_inputs_are_kept",
    )

    def __init__(self, n: int, m: int, rows: int = 1) -> None:
        self.n, self.m, self.rows = n, m, rows
        self.own_density = n / m
        shared = f", the same for {rows} adjacent output channels" if rows > 1 else ""
        self.summary = f"{n} of every {m} inputs, at each position of the kernel{shared}."

    def num_kept(self, atoms: int, density: float) -> int:
        """See the class; ``atoms`` is m, or the number of remaining inputs."""
        return max(math.ceil(self.n * atoms / self.m), math.ceil(density * atoms - 1e-9))

    def pools(self, weight: Tensor) -> list[Tensor]:
        """Groups of ``m`` inputs and of remaining inputs, each for full blocks and for the smaller last block."""
        rows = weight.flatten(2) if weight.dim() > 2 else weight.unsqueeze(2)
        full = len(rows) // self.rows * self.rows
        parts = [(rows[:full], self.rows), (rows[full:], len(rows) - full)]
        pools = [pool for part, size in parts if len(part) for pool in self._split(part, size)]
        return [pool for pool in pools if pool.numel()]

    def packed_bits(self, shape: Shape, bits: int) -> int:
        """Size without zeros: each kept value has an index of log2(m) bits, so 2:4 takes bits / 2 + 1 per weight.

        Output channels of one block share the indices.
        """
        pools = [tuple(pool.shape) for pool in self.pools(torch.empty(shape, device="meta"))]
        kept = [(groups * self.num_kept(atoms, self.n / self.m), size) for groups, atoms, size in pools]
        index = math.ceil(math.log2(self.m))
        return sum(count * (size * bits + index) for count, size in kept)

    def _split(self, rows: Tensor, size: int) -> list[Tensor]:
        # (blocks, size, inputs, taps) → (blocks, taps, inputs, size)
        blocks = rows.reshape(-1, size, *rows.shape[1:]).permute(0, 3, 2, 1)
        full = rows.shape[1] // self.m * self.m
        return [blocks[:, :, :full].reshape(-1, self.m, size), blocks[:, :, full:].flatten(0, 1)]


NM_1_4, NM_2_4 = NM(1, 4), NM(2, 4)
NM_1_8, NM_2_8 = NM(1, 8), NM(2, 8)
NM_1_16, NM_2_16 = NM(1, 16), NM(2, 16)
NM_1_4_BY_4, NM_2_4_BY_4 = NM(1, 4, 4), NM(2, 4, 4)
NM_1_8_BY_4, NM_2_8_BY_4 = NM(1, 8, 4), NM(2, 8, 4)
NM_1_16_BY_4, NM_2_16_BY_4 = NM(1, 16, 4), NM(2, 16, 4)
