from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor
from torch.utils.data import Dataset, TensorDataset

from nas.estimators.batches import in_order, read_batches, training_batch_size
from nas.tasks.images import Normalisation, StackedImages

IMAGES = torch.arange(7 * 2 * 3 * 3).view(7, 2, 3, 3).to(torch.uint8)
TARGETS = torch.arange(7)
STACKED = StackedImages(IMAGES, TARGETS, Normalisation((0.4, 0.5), (0.2, 0.3)))


class _Plain(Dataset[tuple[Tensor, Tensor]]):
    def __len__(self) -> int:
        return 7

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
        return STACKED[index]


DATASETS: dict[str, Dataset[Any]] = {
    "stacked": STACKED,
    "tensors": TensorDataset(*STACKED.batch(torch.arange(7))),
    "plain": _Plain(),
}


@pytest.mark.parametrize("name", DATASETS)
@pytest.mark.parametrize("num_workers", [0, 1])
def test_every_way_of_reading_gives_the_same(name: str, num_workers: int) -> None:
    order = torch.tensor([4, 1, 6, 0, 2])
    batches = list(read_batches(DATASETS[name], order, 2, num_workers=num_workers))
    assert [targets.tolist() for _, targets in batches] == [[4, 1], [6, 0], [2]]
    for inputs, targets in batches:
        assert torch.equal(inputs, torch.stack([STACKED[int(index)][0] for index in targets]))


@pytest.mark.parametrize("name", DATASETS)
def test_batches_can_be_changed_without_harm(name: str) -> None:
    for inputs, _ in in_order(DATASETS[name], 4):
        inputs.zero_()
    assert torch.equal(next(in_order(DATASETS[name], 1))[0][0], STACKED[0][0])
    assert STACKED[1][0].abs().sum() > 0


@pytest.mark.parametrize(
    ("size", "wanted", "even", "expected"),
    [(100, 64, False, 64), (50, 64, False, 50), (51, 64, True, 50), (100, 63, True, 62), (1, 64, True, 1)],
)
def test_batch_size(size: int, wanted: int, even: bool, expected: int) -> None:
    assert training_batch_size(size, wanted, even=even) == expected


def test_pixels_are_normalised() -> None:
    pixel = float(IMAGES[3, 1, 2, 2])
    assert STACKED[3][0][1, 2, 2].item() == pytest.approx((pixel / 255 - 0.5) / 0.3, abs=1e-6)
