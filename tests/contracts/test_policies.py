"""The contract of every registered policy: neutral where it changes nothing, exact accounting, replay."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import pytest
import torch

from nas.graph.identity import graph_identity
from nas.space import POLICIES, Network, Policy
from nas.space.chooser import FixedVectorChooser, PositionChooser, RandomChooser
from nas.space.sampling import Searched
from nas.tasks import Task, make_task
from search_spaces.plain_convnet import PlainConvNet

TASK = make_task("digits", image_size=8)
SHAPE = (1, *TASK.input_shape)


def searched(name: str, task: Task = TASK) -> Searched:
    return Searched(PlainConvNet(), {"name": "plain_convnet"}, ({"name": name},), task)


def identity(network: Network) -> str:
    return graph_identity(network.model, SHAPE, network.bits)


@pytest.fixture(params=POLICIES.names())
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def check_neutral(with_policy: Network, without: Network) -> None:
    """The most expensive setting of a policy leaves the network's outputs unchanged."""
    inputs = torch.randn(4, *TASK.input_shape)
    for network in (with_policy, without):
        network.model.eval()
    assert torch.allclose(with_policy.model(inputs), without.model(inputs), atol=1e-5)


def count_bits(built: Network) -> float:
    """The mean bits over all weights, counted one by one."""
    bits = [built.bits.get(path, 32) for path, weight in weights(built).items() for _ in range(weight.numel())]
    return sum(bits) / len(bits)


def count_density(built: Network) -> float:
    """Non-zeros of the finished network, divided by the weights that it was built with."""
    size = sum(weight.numel() for weight in weights(built).values())
    built.finalize()
    return sum(int(weight.count_nonzero()) for weight in weights(built).values()) / size


def count_bytes(built: Network) -> float:
    """Bytes of all weights at their bits; packed patterns are counted in ``test_sparse_then_quantize.py``."""
    return sum(built.bits.get(path, 32) * weight.numel() for path, weight in weights(built).items()) / 8


#: Metric that a policy declares → how it is counted on a built network.
COUNTS: Mapping[str, Callable[[Network], float]] = {
    "weight_bits": count_bits,
    "weight_bytes": count_bytes,
    "density": count_density,
}


def weights(network: Network) -> dict[str, torch.Tensor]:
    modules = network.model.named_modules()
    return {path: module.weight for path, module in modules if isinstance(module, torch.nn.Conv2d | torch.nn.Linear)}


def check_accounting(space: Searched, network: Network, declared: Mapping[str, float]) -> None:
    """Every number that a policy computes from shapes equals the count over tensors."""
    assert declared
    for key, value in declared.items():
        assert key in COUNTS, f"COUNTS lacks a function that counts {key} on a built network"
        assert value == pytest.approx(COUNTS[key](space.build(network.architecture, seed=0))), key


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
        space = searched(name)
        network = space.sample(RandomChooser(seed))
        check_accounting(space, network, network.account())


def test_settings_that_differ_make_different_candidates(name: str) -> None:
    space = searched(name)
    dear = space.sample(PositionChooser(1.0))
    plain = Searched(space.space, space.space_spec, (), TASK).sample(PositionChooser(1.0))
    # The same network at the policy's cheapest setting.
    chooser = FixedVectorChooser(plain.architecture.choices)
    cheap = space.sample(chooser)
    assert identity(cheap) != identity(dear)
    assert cheap.account() != dear.account()


def test_replay(name: str) -> None:
    space = searched(name)
    for seed in range(8):
        sampled = space.sample(RandomChooser(seed))
        built = space.build(sampled.architecture, seed=0)
        assert built.bits == sampled.bits
        assert identity(built) == identity(sampled)


def test_every_network_answers_the_same_questions(name: str) -> None:
    """A policy also asks about the sites of skipped slots; these questions are inactive."""
    asked = set()
    for seed in range(8):
        chooser = RandomChooser(seed)
        Searched(PlainConvNet(), {"name": "plain_convnet"}, ({"name": name, "scope": "site"},), TASK).sample(chooser)
        asked.add(tuple((item.name, item.options) for item in chooser.questions.values()))
    assert len(asked) == 1


def test_neutral_fails_on_a_policy_that_changes_weights(name: str) -> None:
    space = searched(name)
    sampled = space.sample(PositionChooser(1.0))
    first, second = (space.build(sampled.architecture, seed=0) for _ in range(2))
    with torch.no_grad():
        first.model.get_submodule("head.3").weight.mul_(2.0)
    with pytest.raises(AssertionError):
        check_neutral(first, second)


def test_accounting_fails_on_a_count_that_is_off(name: str) -> None:
    space = searched(name)
    network = space.sample(RandomChooser(0))
    with pytest.raises(AssertionError):
        check_accounting(space, network, {key: value + 0.01 for key, value in network.account().items()})


def test_every_policy_says_what_it_changes(name: str) -> None:
    policy = POLICIES.get(name)()
    assert isinstance(policy, Policy)
    assert policy.claims
