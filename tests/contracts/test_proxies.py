"""The contract of every registered zero-cost proxy: finite, repeatable, without any effect, for every space."""

from __future__ import annotations

import math
from collections.abc import Mapping
from functools import cache
from typing import Any

import pytest
import torch
from torch import nn

from nas.proxies import PROXIES, Proxy, Sample
from nas.proxies.scoring import Scores, score_network
from nas.space import Network, SearchSpace
from nas.space.chooser import RandomChooser
from nas.space.sampling import Searched
from nas.tasks import Task, make_task
from search_spaces import SPACES

EXAMPLES = [
    pytest.param(space, id=f"{name}-{number}")
    for name in SPACES.names()
    for number, space in enumerate(SPACES.get(name).examples())
]
SPARSITY: Mapping[str, Any] = {"name": "sparsity", "densities": [0.25], "schedule": {"name": "static_random"}}


@cache
def digits() -> Task:
    return make_task("digits", image_size=16)


def network(
    space: SearchSpace | None = None, policies: tuple[Mapping[str, Any], ...] = (), task: Task | None = None
) -> Network:
    space = space or SPACES.get("plain_convnet")()
    searched = Searched(space, {"name": "space"}, policies, task or digits())
    return searched.build(searched.sample(RandomChooser(1)).architecture, seed=7)


def state_of(model: nn.Module) -> dict[str, Any]:
    """Everything of a model that a proxy could change."""
    modules = {path: (type(item), item.training, len(item._forward_hooks)) for path, item in model.named_modules()}
    parameters = {name: (item.requires_grad, item.grad) for name, item in model.named_parameters()}
    values = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    return {"modules": modules, "parameters": parameters, "values": values}


def check_proxy(name: str, network: Network, task: Task | None = None) -> None:
    """The score is finite and repeatable; network and random generators are not changed."""
    network.model.train()
    before, generator = state_of(network.model), torch.get_rng_state()
    first = score_network(network, task or digits(), [name], seed=3)
    assert first.missing == {}
    assert math.isfinite(first.values[name])
    after = state_of(network.model)
    assert after["modules"] == before["modules"]
    assert after["parameters"] == before["parameters"]
    assert all(torch.equal(value, after["values"][key]) for key, value in before["values"].items())
    assert torch.equal(torch.get_rng_state(), generator)
    torch.manual_seed(99)
    assert score_network(network, task or digits(), [name], seed=3) == first


@pytest.mark.parametrize("name", PROXIES.names())
def test_a_plain_network(name: str) -> None:
    check_proxy(name, network())


@pytest.mark.parametrize("name", PROXIES.names())
def test_a_network_with_masks_and_rounding(name: str) -> None:
    check_proxy(name, network(policies=(SPARSITY, {"name": "precision"})))


@pytest.mark.slow
@pytest.mark.parametrize("space", EXAMPLES)
@pytest.mark.parametrize("name", PROXIES.names())
def test_a_network_of_every_space(name: str, space: SearchSpace) -> None:
    check_proxy(name, network(space))


@pytest.mark.slow
@pytest.mark.parametrize("name", PROXIES.names())
def test_a_task_without_classes(name: str) -> None:
    task = make_task("shapes_segmentation", image_size=16, num_train=200, num_validation=50, num_test=50)
    check_proxy(name, network(SPACES.get("plain_convnet")(), task=task), task)


@pytest.mark.parametrize("name", PROXIES.names())
def test_an_initial_weight_counts(name: str) -> None:
    """Another initialization of the network has another score, because scores are about its untrained weights."""
    searched = Searched(SPACES.get("plain_convnet")(), {"name": "space"}, (), digits())
    architecture = searched.sample(RandomChooser(1)).architecture
    found = [score_network(searched.build(architecture, seed), digits(), [name], seed=3) for seed in (0, 1)]
    assert found[0] != found[1]


@pytest.mark.parametrize("name", PROXIES.names())
def test_a_network_that_fails_has_a_reason_and_no_score(name: str) -> None:
    class Broken(nn.Module):
        def forward(self, inputs: torch.Tensor) -> torch.Tensor:
            raise RuntimeError("no such layer")

    broken = network()
    broken.model = Broken()
    found = score_network(broken, digits(), [name], seed=3)
    assert found.values == {}
    assert "no such layer" in found.missing[name]


# -- planted mistakes


def planted(proxy: type[Proxy]) -> Scores:
    PLANTED["proxy"] = proxy
    return score_network(network(), digits(), [f"{__name__}:Planted"], seed=3)


PLANTED: dict[str, type[Proxy]] = {}


class Planted(Proxy):
    num_batches = 0

    def score(self, model: nn.Module, sample: Sample) -> float:
        return PLANTED["proxy"].score(self, model, sample)


def test_a_score_that_is_not_a_number_is_missing() -> None:
    class NotANumber(Planted):
        def score(self, model: nn.Module, sample: Sample) -> float:
            return math.nan

    found = planted(NotANumber)
    assert found.values == {}
    assert list(found.missing.values()) == ["its score is nan"]


def test_a_proxy_that_draws_numbers_gets_the_same_ones_each_time() -> None:
    class Random(Planted):
        def score(self, model: nn.Module, sample: Sample) -> float:
            return float(torch.rand(()))

    assert planted(Random) == planted(Random)
