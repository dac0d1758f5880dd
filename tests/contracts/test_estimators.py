"""The contract of every registered estimator: a learning curve, repeatability, and resuming after an interruption."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from nas.errors import JobError
from nas.estimators import ESTIMATORS, Epoch, Estimator
from nas.estimators.training import Training
from nas.space import Network
from nas.space.chooser import PositionChooser
from nas.space.sampling import Searched
from nas.tasks import Task, make_task
from nas.tasks.digits import Digits
from search_spaces import SPACES

EPOCHS = 3
Make = Callable[[], Estimator]


@cache
def digits() -> Task:
    return make_task("digits", image_size=8)


def new_network(seed: int = 0) -> Network:
    spec = {"name": "plain_convnet"}
    searched = Searched(SPACES.get("plain_convnet")(), spec, ({"name": "precision"},), digits())
    return searched.build(searched.sample(PositionChooser(0.4)).architecture, seed)


def fitted(estimator: Estimator, *, seed: int = 1, folder: Path | None = None) -> tuple[Network, list[Epoch]]:
    network = new_network()
    return network, list(estimator.fit(network, digits(), seed=seed, checkpoint=folder))


def same_weights(one: Network, other: Network) -> bool:
    pairs = zip(one.model.state_dict().values(), other.model.state_dict().values(), strict=True)
    return all(torch.equal(ours, theirs) for ours, theirs in pairs)


def scores(curve: list[Epoch]) -> list[dict[str, float]]:
    """A learning curve without the values that depend on the clock."""
    return [{key: value for key, value in epoch.values.items() if key != "seconds"} for epoch in curve]


def check_the_curve(make: Make, folder: Path) -> None:
    estimator = make()
    network, curve = fitted(estimator)
    assert 1 <= len(curve) <= estimator.num_epochs
    assert [epoch.epoch for epoch in curve] == list(range(curve[0].epoch, curve[0].epoch + len(curve)))
    for epoch in curve:
        assert epoch.values.keys() >= {"train_loss", "learning_rate", "seconds", "accuracy"}
        assert np.isfinite(list(epoch.values.values())).all()
    # The last epoch's scores are those of the returned network.
    data = digits().dataset("validation")
    inputs = torch.stack([data[index][0] for index in range(len(data))])  # type: ignore[arg-type]
    targets = np.array([int(data[index][1]) for index in range(len(data))])  # type: ignore[arg-type]
    assert not network.model.training
    with torch.no_grad():
        found = digits().score(network.model(inputs).numpy(), targets)["accuracy"]
    assert abs(found - curve[-1].values["accuracy"]) <= 1 / len(targets)
    assert found > 0.3, "a tenth is the chance level"


def check_equal_seeds_end_at_equal_weights(make: Make, folder: Path) -> None:
    (first, ours), (second, theirs), (other, _) = fitted(make()), fitted(make()), fitted(make(), seed=2)
    assert scores(ours) == scores(theirs)
    assert same_weights(first, second)
    assert not same_weights(first, other)


def check_interrupted_is_uninterrupted(make: Make, folder: Path) -> None:
    whole, curve = fitted(make())
    interrupted = make().fit(new_network(), digits(), seed=1, checkpoint=folder)
    next(interrupted)
    interrupted.close()
    continued, again = fitted(make(), folder=folder)
    assert scores(again) == scores(curve)
    assert same_weights(continued, whole)
    _, once_more = fitted(make(), folder=folder)
    assert [epoch.values for epoch in once_more] == [epoch.values for epoch in again], "nothing is trained twice"


def check_global_generators_are_left_alone(make: Make, folder: Path) -> None:
    def drawn() -> tuple[float, float, float]:
        return random.random(), float(np.random.rand()), float(torch.rand(()))

    def seed_all() -> None:
        random.seed(3)
        np.random.seed(3)
        torch.manual_seed(3)

    seed_all()
    expected = drawn()
    network = new_network()
    seed_all()
    list(make().fit(network, digits(), seed=1))
    assert drawn() == expected


CHECKS = [
    check_the_curve,
    check_equal_seeds_end_at_equal_weights,
    check_interrupted_is_uninterrupted,
    check_global_generators_are_left_alone,
]


#: Settings for short trainings; every other estimator is tested with its defaults.
SHORT: Mapping[str, Mapping[str, Any]] = {
    "training": {"epochs": EPOCHS},
    "sparse_then_quantize": {"dense_epochs": 2, "sparse_epochs": 1, "quantized_epochs": 1},
}


@pytest.mark.parametrize("check", CHECKS)
@pytest.mark.parametrize("name", ESTIMATORS.names())
def test_estimator(name: str, check: Callable[[Make, Path], None], tmp_path: Path) -> None:
    check(lambda: ESTIMATORS.get(name)(**SHORT.get(name, {})), tmp_path)


class _Diverging(Digits):
    """A loss that becomes NaN after some steps."""

    steps = 0

    def loss(self, outputs: Tensor, targets: Tensor, *, label_smoothing: float = 0.0) -> Tensor:
        self.steps += 1
        return super().loss(outputs, targets) * (float("nan") if self.steps > 5 else 1.0)


@pytest.mark.parametrize("name", ESTIMATORS.names())
def test_a_loss_that_is_no_number_ends_the_job(name: str) -> None:
    with pytest.raises(JobError, match=r"nan in epoch 0, step 5"):
        list(ESTIMATORS.get(name)().fit(new_network(), _Diverging(image_size=8), seed=0))


class _Careless(Training):
    """Planted: draws from the global random generators, ignores its checkpoint and stays in training mode."""

    def __init__(self) -> None:
        super().__init__(epochs=EPOCHS)

    def fit(self, network: Network, task: Task, *, seed: int, checkpoint: Path | None = None) -> Iterator[Epoch]:
        yield from super().fit(network, task, seed=int(torch.randint(2**31, ())))
        network.model.train()


@pytest.mark.parametrize("check", CHECKS)
def test_each_check_fails_on_an_estimator_that_breaks_its_rule(
    check: Callable[[Make, Path], None], tmp_path: Path
) -> None:
    with pytest.raises(AssertionError):
        check(_Careless, tmp_path)
