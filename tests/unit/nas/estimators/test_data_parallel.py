"""Training in several processes: parts of batches, and equal results."""

from __future__ import annotations

import multiprocessing
from pathlib import Path

import pytest
import torch
from torch import Tensor, distributed, nn

from nas.errors import PlanError
from nas.estimators.data_parallel import Workers
from nas.estimators.training import Training
from nas.space import Architecture, Network
from nas.tasks.digits import Digits


def test_workers_divide_every_batch() -> None:
    order = torch.randperm(24, generator=torch.Generator().manual_seed(0))
    parts = [Workers(rank, 2).share(order, 8) for rank in range(2)]
    for batch in range(3):
        found = torch.cat([part[4 * batch : 4 * batch + 4] for part in parts])
        assert torch.equal(found, order[8 * batch : 8 * batch + 8])


def test_a_batch_that_can_not_be_divided_is_refused() -> None:
    Workers(0, 2).check_batch(64, even=True)
    with pytest.raises(PlanError, match="a batch of 64 can't be divided into 3 equal parts"):
        Workers(0, 3).check_batch(64, even=False)
    with pytest.raises(PlanError, match="equal parts with an even number of images"):
        Workers(0, 2).check_batch(6, even=True)


def trained(workers: Workers | None, folder: Path) -> tuple[Tensor, list[float]]:
    """Weights and losses of a small network without batch norms."""
    torch.manual_seed(0)
    model = nn.Sequential(nn.Flatten(), nn.Linear(64, 32), nn.ReLU(), nn.Linear(32, 10))
    network = Network(Architecture({"name": "small"}, (), {}), model, input_shape=(1, 1, 8, 8))
    training = Training(epochs=2, augment=False, ema_decay=0.9, ema_warmup=True)
    if workers is not None:
        training.use_workers(workers)
    curve = list(training.fit(network, Digits(image_size=8), seed=1, checkpoint=folder))
    weights = torch.cat([parameter.detach().flatten() for parameter in network.model.parameters()])
    return weights, [epoch.values["train_loss"] for epoch in curve]


def _work(rank: int, folder: Path) -> None:
    torch.set_num_threads(1)
    distributed.init_process_group("gloo", init_method=f"file://{folder}/store", rank=rank, world_size=2)
    found = trained(Workers.joined(), folder)
    torch.save(found, folder / f"found{rank}.pt")
    distributed.destroy_process_group()


def test_two_workers_end_where_one_does(tmp_path: Path) -> None:
    (tmp_path / "one").mkdir()
    weights, losses = trained(None, tmp_path / "one")
    processes = [multiprocessing.get_context("fork").Process(target=_work, args=(rank, tmp_path)) for rank in range(2)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(60)
        assert process.exitcode == 0
    for rank in range(2):
        found, curve = torch.load(tmp_path / f"found{rank}.pt", weights_only=True)
        assert curve == pytest.approx(losses, rel=1e-4)
        torch.testing.assert_close(found, weights, rtol=1e-3, atol=1e-4)
