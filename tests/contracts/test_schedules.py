"""The contract of every registered sparsity schedule, checked in short trainings."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn
from torch.nn.utils import parametrize

import nas.sparsity.masked
import nas.sparsity.prunable
from nas.estimators.training import Training
from nas.graph.identity import graph_identity
from nas.space import Network
from nas.space.chooser import PositionChooser
from nas.space.sampling import Searched
from nas.sparsity import SCHEDULES
from nas.sparsity.mask import Mask
from nas.sparsity.schedules.gradual import Gradual
from search_spaces.plain_convnet import PlainConvNet
from tests.contracts.sparse_networks import SHAPE, TASK, build, dense, policy_of, prune, searched, weighted

#: Short trainings: twelve steps.
RECIPE = {"epochs": 3, "batch_size": 256, "checkpoint_steps": 3}
#: Every registered schedule, with parameters for twelve steps.
SETTINGS: Mapping[str, Mapping[str, Any]] = {
    "gradual": {"every": 2},
    "lottery_ticket": {"rounds": 2, "rewind": 0.3},
    "prune_and_grow": {"every": 3, "grow": "gradient"},
}


def schedule_of(name: str) -> dict[str, Any]:
    return {"name": name, **SETTINGS.get(name, {})}


def check_neutral(network: Network) -> None:
    """At density 1 nothing is attached to the network: same keys, same weights, same identity, same training."""
    plain = Searched(PlainConvNet(), {"name": "plain_convnet"}, (), TASK)
    expected = plain.build(plain.sample(PositionChooser(0.4)).architecture, seed=0)
    for trained in (False, True):
        if trained:
            for item in (network, expected):
                list(Training(**{**RECIPE, "epochs": 1}).fit(item, TASK, seed=0))
        states = network.model.state_dict(), expected.model.state_dict()
        assert states[0].keys() == states[1].keys()
        assert all(torch.equal(value, states[1][key]) for key, value in states[0].items())
    assert graph_identity(network.model, SHAPE, {}) == graph_identity(expected.model, SHAPE, {})


def check_density_over_time(network: Network, total: int = 40) -> None:
    """Every step keeps as many weights as the schedule says; the last step keeps those that ship."""
    policy = policy_of(network)
    parts = policy._attached.parts
    for step in range(total):
        if step:
            wiggle(network.model, step)
        network.on_step(step, total)
        for part in parts:
            assert int(part.kept().sum()) == part.num_kept(policy.schedule.density(part, step, total)), step
    network.finalize()
    expected = searched(densities=[0.3], schedule=policy.schedule_spec).sample(PositionChooser(0.4))
    assert network.account() == pytest.approx(expected.account(), abs=0.01)


def wiggle(model: nn.Module, seed: int) -> None:
    """A change of the weights like a training step's."""
    generator = torch.Generator().manual_seed(seed)
    for parameter in model.parameters():
        parameter.data += 0.05 * torch.randn(parameter.shape, generator=generator)


class _Interrupted(Exception):
    pass


def trained(schedule: Mapping[str, Any], folder: Path | None = None, stop: int | None = None) -> Network:
    """A network trained to the end, or up to a step before which it is interrupted."""
    network = build(schedule=schedule)
    move = network.on_step

    def on_step(step: int, total_steps: int) -> None:
        if step == stop:
            raise _Interrupted
        move(step, total_steps)

    network.on_step = on_step  # type: ignore[method-assign]
    list(Training(**RECIPE).fit(network, TASK, seed=1, checkpoint=folder))
    return network


def check_resumed(schedule: Mapping[str, Any], folder: Path, stop: int) -> None:
    """Interrupted at any step and continued by another process, the training ends at the same bits, masks included."""
    with pytest.raises(_Interrupted):
        trained(schedule, folder, stop)
    continued, whole = trained(schedule, folder), trained(schedule)
    states = continued.model.state_dict(), whole.model.state_dict()
    assert states[0].keys() == states[1].keys()
    assert any(key.endswith("kept") for key in states[0])
    for key, value in states[0].items():
        assert torch.equal(value, states[1][key]), key


def check_replay(**parameters: Any) -> None:
    """Equal choices and seed give the same identity and masks; another seed gives other masks or weights."""
    space = searched(densities=[0.3], **parameters)
    sampled = space.sample(PositionChooser(0.4))
    one, other = (space.build(sampled.architecture, seed=0) for _ in range(2))
    assert graph_identity(one.model, SHAPE, {}) == graph_identity(sampled.model, SHAPE, {})
    assert graph_identity(one.model, SHAPE, {}) != graph_identity(dense().model, SHAPE, {})
    for network in (one, other):
        network.finalize()
    pairs = zip(one.model.state_dict().values(), other.model.state_dict().values(), strict=True)
    assert all(torch.equal(ours, theirs) for ours, theirs in pairs)


@pytest.mark.parametrize("name", SCHEDULES.names())
def test_density_one_is_the_dense_network(name: str) -> None:
    check_neutral(build(densities=[1.0], schedule=schedule_of(name)))


@pytest.mark.parametrize("name", SCHEDULES.names())
def test_a_schedule_keeps_what_it_says_in_every_step(name: str) -> None:
    check_density_over_time(build(schedule=schedule_of(name)))


@pytest.mark.parametrize("name", SCHEDULES.names())
@pytest.mark.parametrize("stop", [3, 8])
def test_an_interrupted_training_ends_at_the_same_masks(name: str, stop: int, tmp_path: Path) -> None:
    check_resumed(schedule_of(name), tmp_path, stop)


@pytest.mark.parametrize("name", SCHEDULES.names())
def test_choices_are_replayed(name: str) -> None:
    check_replay(schedule=schedule_of(name))


@pytest.mark.parametrize("name", SCHEDULES.names())
def test_a_schedule_says_when_it_prunes(name: str) -> None:
    schedule = SCHEDULES.get(name)()
    assert schedule.when in ("before", "during", "after")
    assert isinstance(schedule.dynamic, bool)


@pytest.mark.parametrize("name", SCHEDULES.names())
def test_removed_weights_get_no_gradient_and_averages_carry_the_mask(name: str) -> None:
    network = build(schedule=schedule_of(name))
    list(Training(**RECIPE, ema_decay=0.9).fit(network, TASK, seed=1))
    prune(network)
    masks = [part for part in network.model.modules() if isinstance(part, Mask)]
    assert masks
    TASK.loss(network.model(torch.rand(2, *TASK.input_shape)), torch.tensor([1, 2])).backward()
    for module in weighted(network.model).values():
        if parametrize.is_parametrized(module):
            (mask,) = module.parametrizations["weight"]  # type: ignore[index,union-attr]
            gradient = module.parametrizations["weight"].original.grad  # type: ignore[index,union-attr]
            assert not gradient[~mask.kept].any()


# -- planted mistakes


def test_a_late_mask_update_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    on_step = Gradual.on_step
    monkeypatch.setattr(
        Gradual, "on_step", lambda self, model, parts, step, total: on_step(self, model, parts, step - 1, total)
    )
    with pytest.raises(AssertionError):
        check_density_over_time(build(schedule="gradual"))


def test_draws_from_the_global_generator_are_found(monkeypatch: pytest.MonkeyPatch) -> None:
    seeds = itertools.count()
    monkeypatch.setattr(nas.sparsity.prunable, "seed_of", lambda *parts: next(seeds))
    with pytest.raises(AssertionError):
        check_replay(schedule="static_random")


def test_state_that_no_checkpoint_holds_is_found(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    make = Mask.__init__

    def forgetful(self: Mask, *arguments: Any, **keywords: Any) -> None:
        make(self, *arguments, **keywords)
        self._non_persistent_buffers_set.add("gradient")

    monkeypatch.setattr(Mask, "__init__", forgetful)
    with pytest.raises(AssertionError):
        check_resumed(schedule_of("prune_and_grow"), tmp_path, 3)


def test_a_mask_on_a_dense_network_is_found() -> None:
    with pytest.raises(AssertionError):
        check_neutral(build(densities=[0.99]))
