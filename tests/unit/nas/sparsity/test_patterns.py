"""Masks compared with masks found by hand."""

from __future__ import annotations

import torch

from nas.sparsity import PATTERNS


def test_the_best_weights_are_kept_and_the_first_of_equal_ones() -> None:
    scores = torch.tensor([[3.0, 1.0, 2.0], [2.0, 5.0, 0.0]])
    expected = [[True, False, True], [False, True, False]]
    assert PATTERNS.get("unstructured").mask(scores, 0.5).tolist() == expected


def test_a_layer_keeps_at_least_one_weight() -> None:
    assert PATTERNS.get("unstructured").count((2, 3), 0.001) == 1


def test_n_of_every_m_inputs_are_kept() -> None:
    """Groups run along the inputs, separately at each position of the kernel; an incomplete group of two (of four)
    keeps one.
    """
    scores = torch.arange(12.0).reshape(2, 6)
    assert PATTERNS.get("nm_2_4").mask(scores, 0.5).int().tolist() == [[0, 0, 1, 1, 0, 1]] * 2
    kernel = torch.stack([torch.arange(8.0), -torch.arange(8.0)], dim=1).reshape(1, 8, 1, 2)
    mask = PATTERNS.get("nm_2_8").mask(kernel, 0.25)
    assert mask[0, :, 0, 0].nonzero().flatten().tolist() == [6, 7]
    assert mask[0, :, 0, 1].nonzero().flatten().tolist() == [0, 1]


def test_outputs_that_share_choose_together() -> None:
    scores = torch.zeros(6, 4)
    scores[:4, 1] = torch.tensor([9.0, 0.0, 0.0, 0.0])
    scores[:4, 2] = 2.0
    scores[4:, 3] = 1.0
    mask = PATTERNS.get("nm_1_4_by_4").mask(scores, 0.25)
    # A mean score of 2.25 wins over one of 2; the last two outputs choose for themselves.
    assert mask.nonzero().tolist() == [[0, 1], [1, 1], [2, 1], [3, 1], [4, 3], [5, 3]]


def test_channels_of_a_block_share_one_list_of_inputs() -> None:
    """One list serves G channels: the index bytes are 1/G of those of single weights, apart from an incomplete last
    block.
    """
    scores = torch.rand(10, 24, 1, 1, generator=torch.Generator().manual_seed(0))
    for name, block in (("block_2x1", 2), ("block_4x1", 4)):
        mask = PATTERNS.get(name).mask(scores, 0.25)
        blocks = [mask[first : first + block] for first in range(0, 10, block)]
        assert all((rows == rows[:1]).all() for rows in blocks)
        full = [rows for rows in blocks if len(rows) == block]
        indices = sum(int(rows[0].sum()) for rows in full)
        assert indices * block == sum(int(rows.sum()) for rows in full) == round(0.25 * 24 * len(full)) * block


def test_depthwise_weights_stay_but_for_single_ones() -> None:
    shape = (8, 1, 3, 3)
    acting = [name for name in PATTERNS.names() if PATTERNS.get(name).acts_on(shape)]
    assert acting == ["channels", "unstructured"]
