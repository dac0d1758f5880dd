"""Rounds, rewinding, and their place in the training."""

from __future__ import annotations

import pytest
import torch

from nas.errors import PlanError
from nas.estimators.recipe import Recipe
from nas.estimators.training import Training
from nas.space import Network
from nas.space.chooser import PositionChooser
from nas.space.sampling import Searched
from nas.sparsity.mask import Mask
from nas.sparsity.schedules.lottery_ticket import LotteryTicket
from nas.tasks import make_task
from search_spaces.plain_convnet import PlainConvNet
from tests.unit.nas.sparsity.layers import layer, shake

TASK = make_task("digits", image_size=8)


@pytest.mark.parametrize("rewind", [0.0, 0.5])
def test_rounds_of_a_training(rewind: float) -> None:
    """Masks are nested, kept weights equal the snapshot bit for bit, and (1 - rate)^r are left after r rounds."""
    schedule = LotteryTicket(rounds=4, rewind=rewind)
    model, part = layer(schedule, 0.3)
    bias = model[0].bias  # type: ignore[index]
    bounds = schedule.restarts(50)
    assert bounds == (10, 20, 30, 40)
    rate = 1 - 0.3 ** (1 / 4)
    before = part.kept().clone()
    for step in range(50):
        if step == int(rewind * 10):
            snapshot, bias_then = part.values().clone(), bias.detach().clone()
        schedule.on_step(model, [part], step, 50)
        if step in bounds:
            done = bounds.index(step) + 1
            assert int(part.kept().sum()) == pytest.approx((1 - rate) ** done * 600, abs=1)
            assert not (part.kept() & ~before).any()
            assert torch.equal(part.values()[part.kept()], snapshot[part.kept()])
            assert torch.equal(bias, bias_then)
            before = part.kept().clone()
        shake(model, step)
    schedule.finish(model, [part])
    assert (part.kept() == before).all()
    assert not [name for name, _ in model.named_buffers() if name.startswith("rewind")]


def test_the_last_layer_goes_at_half_the_rate() -> None:
    schedule = LotteryTicket(rounds=2)
    _, part = layer(schedule, 0.25, last=True)
    assert schedule.density(part, 100, 100) == schedule.final_density(part) == pytest.approx(0.75**2)
    _, shared = layer(schedule, 0.5, last=True, pattern="nm_2_4")
    assert schedule.final_density(shared) == pytest.approx(0.5)


def test_each_round_has_the_whole_learning_rate_schedule(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each round has a new optimizer too: its first step equals the first step of a separate training."""
    spec = {"name": "sparsity", "densities": [0.3], "schedule": {"name": "lottery_ticket", "rounds": 2}}
    space = Searched(PlainConvNet(), {"name": "plain_convnet"}, (spec,), TASK)
    network = space.build(space.sample(PositionChooser(0)).architecture, seed=0)
    rates, ages = trained(network, monkeypatch, epochs=3)
    assert len(rates) == 12
    assert rates[0:4] == rates[4:8] == rates[8:12]
    assert rates[3] < rates[1] / 5
    assert ages == [1, 2, 3, 4] * 3
    masks = [part for part in network.model.modules() if isinstance(part, Mask)]
    assert all(0.2 < part.kept.float().mean() < 0.7 for part in masks)


def trained(network: Network, monkeypatch: pytest.MonkeyPatch, epochs: int) -> tuple[list[float], list[int]]:
    """The learning rate of every step, and the number of steps the optimizer has seen."""
    from nas.estimators.optimization import Optimization

    rates, ages = [], []
    step = Optimization.step

    def watched(self: Optimization, loss: torch.Tensor, number: int) -> None:
        step(self, loss, number)
        rates.append(self.learning_rate)
        ages.append(int(next(iter(self._optimizer.state.values()))["step"]))

    monkeypatch.setattr(Optimization, "step", watched)
    recipe = Recipe(epochs=epochs, batch_size=256, warmup_epochs=0)
    list(Training(**recipe.model_dump()).fit(network, TASK, seed=0))
    return rates, ages


@pytest.mark.parametrize("wrong", [{"rounds": 0}, {"rewind": 1.0}])
def test_wrong_rounds_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(PlanError, match="lottery_ticket"):
        LotteryTicket(**wrong)  # type: ignore[arg-type]
