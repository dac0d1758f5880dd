"""Neighbouring output channels share one pattern of inputs."""

from __future__ import annotations

from torch import Tensor

from nas.papers import Paper
from nas.sparsity import Pattern


class Block(Pattern):
    """Columns of ``rows`` adjacent output channels are kept or removed together.

    So a kernel reads one list of inputs for ``rows`` outputs. Channels left over at the end make a smaller block,
    pruned to the same density by itself. The paper re-arranges channels so that similar ones are adjacent; here they
    are taken as they come. Weights with one input per output (depthwise) stay dense, as in the paper.
    """

    structure = "semi-structured"
    paper = Paper(
        64,
        "SparseByteNN (Xu et al. 2023)",
        "tests/unit/nas/sparsity/test_patterns.py::test_channels_of_a_block_share_one_list_of_inputs",
    )

    def __init__(self, rows: int) -> None:
        self.rows = rows

    def pools(self, weight: Tensor) -> list[Tensor]:
        """One group of full blocks, and one of the block that is left over."""
        full = len(weight) // self.rows * self.rows
        blocks = [weight[:full].reshape(-1, self.rows, weight[0].numel()), weight[full:].flatten(1).unsqueeze(0)]
        return [block.transpose(1, 2).reshape(1, -1, block.shape[1]) for block in blocks if block.numel()]


BLOCK_2X1 = Block(2)
BLOCK_4X1 = Block(4)
