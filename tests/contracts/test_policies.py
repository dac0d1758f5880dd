"""Every registered policy: neutral where it changes nothing, accounting that equals a count, replay."""

from __future__ import annotations

from collections.abc import Mapping

import pytest
import torch

from nas.space import POLICIES, Network, Policy
from nas.space.chooser import PositionChooser, RandomChooser
from nas.space.graph import graph_identity
from nas.space.sampling import Searched
from nas.tasks import Task, make_task
from search_spaces.plain_convnet import PlainConvNet

TASK = make_task("digits", image_size=8)
SHAPE = (1, *TASK.input_shape)


def searched(name: str, task: Task = TASK) -> Searched:
    return Searched(PlainConvNet(), {"name": "plain_convnet"}, ({"name": name},), task)


@pytest.fixture(params=POLICIES.names())
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def check_neutral(with_policy: Network, without: Network) -> None:
    """At its dearest setting a policy leaves the network's outputs as they are."""
    inputs = torch.randn(4, *TASK.input_shape)
    for network in (with_policy, without):
        network.model.eval()
    assert torch.allclose(with_policy.model(inputs), without.model(inputs), atol=1e-5)


def check_accounting(network: Network, declared: Mapping[str, float]) -> None:
    """``weight_bits`` is the mean over every weight, counted one by one."""
    bits = [
        network.bits.get(path, 32)
        for path, module in network.model.named_modules()
        if isinstance(module, torch.nn.Conv2d | torch.nn.Linear)
        for _ in range(module.weight.numel())
    ]
    assert declared["weight_bits"] == pytest.approx(sum(bits) / len(bits))


def test_neutral(name: str) -> None:
    space = searched(name)
    sampled = space.sample(PositionChooser(1.0))
    plain = Searched(space.space, space.space_spec, (), TASK)
    check_neutral(
        space.build(sampled.architecture, seed=0),
        plain.build(plain.sample(PositionChooser(1.0)).architecture, seed=0),
    )


def test_accounting(name: str) -> None:
    for seed in range(8):
        network = searched(name).sample(RandomChooser(seed))
        check_accounting(network, network.account())


def test_settings_that_differ_make_different_candidates(name: str) -> None:
    cheap, dear = (searched(name).sample(PositionChooser(position)) for position in (0.0, 1.0))
    assert cheap.bits != dear.bits


def test_replay(name: str) -> None:
    space = searched(name)
    for seed in range(8):
        sampled = space.sample(RandomChooser(seed))
        built = space.build(sampled.architecture, seed=0)
        assert built.bits == sampled.bits
        assert graph_identity(built.model, SHAPE, built.bits) == graph_identity(sampled.model, SHAPE, sampled.bits)


def test_every_network_answers_the_same_questions(name: str) -> None:
    """Sites of skipped slots are asked about too, as inactive."""
    asked = set()
    for seed in range(8):
        chooser = RandomChooser(seed)
        Searched(PlainConvNet(), {"name": "plain_convnet"}, ({"name": name, "scope": "site"},), TASK).sample(chooser)
        asked.add(tuple((item.name, item.options) for item in chooser.questions.values()))
    assert len(asked) == 1


def test_neutral_fails_on_a_policy_that_changes_weights() -> None:
    space = searched("precision")
    sampled = space.sample(PositionChooser(1.0))
    first, second = (space.build(sampled.architecture, seed=0) for _ in range(2))
    with torch.no_grad():
        first.model.get_submodule("head.3").weight.mul_(2.0)
    with pytest.raises(AssertionError):
        check_neutral(first, second)


def test_accounting_fails_on_a_count_that_is_off() -> None:
    network = searched("precision").sample(RandomChooser(0))
    with pytest.raises(AssertionError):
        check_accounting(network, {"weight_bits": network.account()["weight_bits"] + 0.01})


def test_every_policy_says_what_it_changes(name: str) -> None:
    policy = POLICIES.get(name)()
    assert isinstance(policy, Policy)
    assert policy.claims
