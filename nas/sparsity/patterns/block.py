"""Block pattern: adjacent output channels keep the same inputs."""

from __future__ import annotations

from torch import Tensor

from nas.papers import Paper
from nas.sparsity import Pattern


class Block(Pattern):
    """The weights of ``rows`` adjacent output channels for the same input are kept or removed together.

    A kernel then reads one list of inputs for ``rows`` outputs. Leftover channels form a smaller block, which is pruned
    to the same density on its own. Weights with one input per output (depthwise) stay dense, as in the paper.
    Difference from the paper: the paper reorders channels so that similar ones are adjacent; here they keep their
    order.
    """

    structure = "semi-structured"
    paper = Paper(
        64,
        "SparseByteNN (Xu et al. 2023)",
        "tests/unit/nas/sparsity/test_patterns.py::test_channels_of_a_block_share_one_list_of_inputs",
    )

    def __init__(self, rows: int) -> None:
        self.rows = rows
        self.summary = (
            f"The weights of {rows} adjacent output channels for the same input. Leftover channels form a smaller "
            "block."
        )

    def pools(self, weight: Tensor) -> list[Tensor]:
        """One group with all full blocks, and one with the smaller last block."""
        full = len(weight) // self.rows * self.rows
        blocks = [weight[:full].reshape(-1, self.rows, weight[0].numel()), weight[full:].flatten(1).unsqueeze(0)]
        return [block.transpose(1, 2).reshape(1, -1, block.shape[1]) for block in blocks if block.numel()]


BLOCK_2X1 = Block(2)
BLOCK_4X1 = Block(4)
