"""What every registered pattern, allocation and schedule promises, on networks of plain_convnet."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest
import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

import nas.sparsity.masked
import nas.sparsity.prunable
from nas.estimators.training import Training
from nas.export.onnx import OnnxExporter
from nas.export.seeding import seed_weights
from nas.space import Network
from nas.space.chooser import PositionChooser, RandomChooser
from nas.space.graph import graph_identity
from nas.space.sampling import Searched
from nas.sparsity import ALLOCATIONS, PATTERNS, SCHEDULES, Layer, Pattern
from nas.sparsity.mask import Mask, original
from nas.sparsity.masked import Masked
from nas.sparsity.patterns.nm import NM
from nas.sparsity.policy import Sparsity
from nas.sparsity.schedules.gradual import Gradual
from nas.tasks import make_task
from search_spaces.plain_convnet import PlainConvNet

TASK = make_task("digits", image_size=8)
SHAPE = (1, *TASK.input_shape)
SHAPES = [(8, 16), (10, 7), (6, 5, 3, 3), (16, 32, 1, 1), (5, 1, 3, 3)]
#: Short trainings: twelve steps.
RECIPE = {"epochs": 3, "batch_size": 256, "checkpoint_steps": 3}
#: Every registered schedule as it moves within twelve steps.
SETTINGS: Mapping[str, Mapping[str, Any]] = {
    "gradual": {"every": 2},
    "lottery_ticket": {"rounds": 2, "rewind": 0.3},
    "prune_and_grow": {"every": 3, "grow": "gradient"},
}


def schedule_of(name: str) -> dict[str, Any]:
    return {"name": name, **SETTINGS.get(name, {})}


def searched(**parameters: Any) -> Searched:
    given = {"name": "sparsity", "schedule": "one_shot", **parameters}
    return Searched(PlainConvNet(), {"name": "plain_convnet"}, (given,), TASK)


def build(seed: int = 0, **parameters: Any) -> Network:
    """A network of middling size at density 0.3, unless said otherwise."""
    space = searched(**{"densities": [0.3], **parameters})
    return space.build(space.sample(PositionChooser(0.4)).architecture, seed)


def dense(seed: int = 0) -> Network:
    return build(seed, densities=[1.0])


def weighted(model: nn.Module) -> dict[str, nn.Module]:
    return {path: part for path, part in model.named_modules() if isinstance(part, nn.Conv2d | nn.Linear)}


def output(model: nn.Module) -> Tensor:
    inputs = torch.rand(4, *TASK.input_shape, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        return model.eval()(inputs)  # type: ignore[no-any-return]


def policy_of(network: Network) -> Sparsity:
    (policy,) = network.policies
    assert isinstance(policy, Sparsity)
    return policy


def prune(network: Network) -> Network:
    """Bring an untrained network's masks to their final density, and leave them on."""
    policy = policy_of(network)
    policy.schedule.finish(network.model, policy._attached.parts)
    return network


# -- patterns


def check_structure(name: str, mask: Tensor) -> None:
    """The mask, looked at one element at a time, has the shape its name promises."""
    weight = mask.reshape(*mask.shape[:2], -1)
    outputs, inputs, taps = weight.shape
    words = name.split("_")
    if words[0] == "nm":
        n, m, block = int(words[1]), int(words[2]), int(words[4]) if len(words) > 3 else 1
        for first in range(0, outputs, block):
            rows = weight[first : first + block]
            assert (rows == rows[:1]).all()
            for tap in range(taps):
                for start in range(0, inputs, m):
                    size = min(m, inputs - start)
                    assert int(rows[0, start : start + size, tap].sum()) == math.ceil(n * size / m)
    if words[0] == "block":
        block = int(words[1].partition("x")[0])
        for first in range(0, outputs, block):
            assert (weight[first : first + block] == weight[first : first + 1]).all()
    if words[0] == "channels":
        assert (weight == weight[:, :1, :1]).all()


def check_density(pattern: Pattern, name: str) -> None:
    """As many as asked for within one atom a group, never none; the count knows without weights."""
    for shape in SHAPES:
        scores = torch.rand(shape, generator=torch.Generator().manual_seed(1))
        for density in (0.01, 0.3, 0.77) if pattern.own_density is None else (pattern.own_density,):
            mask = pattern.mask(scores, density)
            atoms = sum(pool.shape[0] * pool.shape[2] for pool in pattern.pools(scores))
            assert 0 < int(mask.sum()) == pattern.count(shape, density)
            assert abs(int(mask.sum()) - density * scores.numel()) <= atoms
            check_structure(name, mask)
        assert pattern.mask(scores, 1.0).all()


def check_masked_dense(network: Network) -> None:
    """Under masks it computes what the dense network does with the weights multiplied by those masks."""
    expected = dense()
    for path, module in weighted(network.model).items():
        masks: Any = module.parametrizations["weight"] if parametrize.is_parametrized(module) else []
        product = original(module).clone()
        for mask in masks:
            product *= mask.kept
        with torch.no_grad():
            expected.model.get_submodule(path).weight.copy_(product)  # type: ignore[operator,union-attr]
    assert torch.equal(output(network.model), output(expected.model))
    assert not torch.allclose(output(network.model), output(dense().model))


def check_deployed(network: Network, folder: Path) -> None:
    """Masks baked in, channels gone: the same values, in a file of another structure than the dense one."""
    seed_weights(network, SHAPE, "seed")
    before = output(prune(network).model)
    network.finalize()
    assert not any(parametrize.is_parametrized(module) for module in network.model.modules())
    assert torch.allclose(output(network.model), before, atol=1e-5)
    plain = dense()
    seed_weights(plain, SHAPE, "seed")
    files = [
        OnnxExporter().export(item, folder / f"{number}.onnx", input_shape=SHAPE)
        for number, item in enumerate((network, plain))
    ]
    assert files[0].route == "fx"
    assert files[0].structure_hash != files[1].structure_hash
    inputs = np.random.default_rng(0).random(SHAPE, dtype=np.float32)
    session = onnxruntime.InferenceSession(str(files[0].path), providers=["CPUExecutionProvider"])
    (found,) = session.run(None, {"input": inputs})
    expected = network.model(torch.from_numpy(inputs)).detach().numpy()
    np.testing.assert_allclose(found, expected, atol=1e-4 * expected.std())


def check_accounting(space: Searched, seed: int) -> None:
    """What a shape knows of its density is what is counted in the finished weights."""
    sampled = space.sample(RandomChooser(seed))
    declared, described = sampled.account(), sampled.describe()
    sampled.finalize()
    assert sampled.account() == declared
    network = space.build(sampled.architecture, seed=0)
    sizes = {path: original(module).numel() for path, module in weighted(network.model).items()}
    network.finalize()
    left = {path: int(module.weight.count_nonzero()) for path, module in weighted(network.model).items()}  # type: ignore[operator,union-attr]
    assert declared["density"] == pytest.approx(sum(left.values()) / sum(sizes.values()))
    assert network.account() == pytest.approx(declared)
    for path, facts in described.items():
        assert facts["realised_density"] == pytest.approx(left[path] / sizes[path]), path
        assert network.describe()[path] == pytest.approx(facts)


@pytest.mark.parametrize("name", PATTERNS.names())
def test_a_pattern_keeps_what_it_says(name: str) -> None:
    check_density(PATTERNS.get(name), name)


@pytest.mark.parametrize("name", PATTERNS.names())
def test_a_masked_network_is_the_dense_one_with_masked_weights(name: str) -> None:
    check_masked_dense(prune(build(patterns=[name])))


@pytest.mark.parametrize("name", PATTERNS.names())
def test_a_deployed_network_computes_what_the_masked_one_does(name: str, tmp_path: Path) -> None:
    check_deployed(build(patterns=[name]), tmp_path)


@pytest.mark.parametrize("name", PATTERNS.names())
def test_only_structured_patterns_take_channels_out(name: str) -> None:
    network, plain = build(patterns=[name]), dense()
    network.finalize()
    smaller = [
        len(module.weight) < len(plain.model.get_submodule(path).weight)  # type: ignore[arg-type]
        for path, module in weighted(network.model).items()
    ]
    assert smaller == [PATTERNS.get(name).structure == "structured"] * (len(smaller) - 1) + [False]


MIXED = {
    "scope": "site",
    "patterns": ["unstructured", "channels", "block_4x1", "nm_2_4", "nm_1_8_by_4"],
    "densities": [0.07, 0.2, 0.5, 1.0],
}


@pytest.mark.parametrize("part", range(4))
def test_accounting_of_random_candidates(part: int) -> None:
    scopes = searched(**MIXED), searched(**{**MIXED, "scope": "stage", "allocation": ALLOCATIONS.names()})
    for seed in range(50 * part, 50 * part + 50):
        check_accounting(scopes[seed % 2], seed)


# -- allocations


def check_allocation(densities: Callable[[list[Layer], float], list[float]]) -> None:
    """The mean over weights is what was asked for, to a thousandth; nothing is above 1 or gone."""
    shapes = [(16, 3, 3, 3), *[(16, 16, 3, 3)] * 3, (32, 16, 3, 3), (32, 32, 3, 3), (64, 32, 3, 3), (10, 64)]
    layers = [Layer(shape, first=number == 0, last=number == 7) for number, shape in enumerate(shapes)]
    for density in (0.02, 0.05, 0.1, 0.5, 0.9, 1.0):
        found = densities(layers, density)
        kept = sum(math.prod(shape) * value for shape, value in zip(shapes, found, strict=True))
        assert kept == pytest.approx(density * sum(map(math.prod, shapes)), rel=1e-3)
        assert all(0 < value <= 1 for value in found)


@pytest.mark.parametrize("name", ALLOCATIONS.names())
def test_an_allocation_keeps_the_total(name: str) -> None:
    check_allocation(ALLOCATIONS.get(name).densities)


@pytest.mark.parametrize("name", ALLOCATIONS.names())
def test_an_allocation_of_everything_is_dense(name: str) -> None:
    assert not any(isinstance(part, Mask) for part in build(densities=[1.0], allocation=name).model.modules())


# -- schedules


def check_neutral(network: Network) -> None:
    """At density 1 nothing is put on the network: same keys, same weights, same identity, same training."""
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
    """In every step as many weights are kept as the schedule says; in the end those that ship."""
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
    """Something like a step of training."""
    generator = torch.Generator().manual_seed(seed)
    for parameter in model.parameters():
        parameter.data += 0.05 * torch.randn(parameter.shape, generator=generator)


class _Interrupted(Exception):
    pass


def trained(schedule: Mapping[str, Any], folder: Path | None = None, stop: int | None = None) -> Network:
    """Trained to the end, or to a step before which it is interrupted."""
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
    """Interrupted anywhere and continued by another process, it ends at the same bits, masks included."""
    with pytest.raises(_Interrupted):
        trained(schedule, folder, stop)
    continued, whole = trained(schedule, folder), trained(schedule)
    states = continued.model.state_dict(), whole.model.state_dict()
    assert states[0].keys() == states[1].keys()
    assert any(key.endswith("kept") for key in states[0])
    for key, value in states[0].items():
        assert torch.equal(value, states[1][key]), key


def check_replay(**parameters: Any) -> None:
    """The same choices and seed: the same identity and the same masks; another seed, other masks or weights."""
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


def test_a_mask_that_is_ignored_is_found(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(Mask, "forward", lambda self, weight: weight)
    with pytest.raises(AssertionError):
        check_masked_dense(prune(build()))
    with pytest.raises(AssertionError):
        check_deployed(build(), tmp_path)


def test_a_mask_that_is_taken_off_without_a_trace_is_found(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def forgetful(module: nn.Module) -> None:
        if parametrize.is_parametrized(module):
            parametrize.remove_parametrizations(module, "weight", leave_parametrized=False)

    monkeypatch.setattr(nas.sparsity.masked, "bake_mask", forgetful)
    with pytest.raises(AssertionError):
        check_accounting(searched(densities=[0.3]), 0)
    with pytest.raises(AssertionError):
        check_deployed(build(), tmp_path)


def test_a_group_that_is_off_by_one_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    pools = NM.pools
    monkeypatch.setattr(NM, "pools", lambda self, weight: pools(self, weight.roll(1, 1)))
    with pytest.raises(AssertionError):
        check_density(PATTERNS.get("nm_2_4"), "nm_2_4")


def test_a_count_that_is_off_by_one_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    count = Pattern.count
    monkeypatch.setattr(Pattern, "count", lambda self, shape, density: count(self, shape, density) - 1)
    with pytest.raises(AssertionError):
        check_accounting(searched(densities=[0.3]), 0)


def test_a_reader_of_other_channels_is_found(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Readers keep the channels before those that are kept."""
    narrow = Masked._narrow

    def shifted(self: Masked, path: str, outputs: Tensor | None, inputs: Tensor | None) -> None:
        reads_only = inputs is not None and outputs is None
        narrow(self, path, outputs, (inputs - 1).clamp(min=0) if reads_only else inputs)  # type: ignore[operator]

    monkeypatch.setattr(Masked, "_narrow", shifted)
    with pytest.raises(AssertionError):
        check_deployed(build(patterns=["channels"]), tmp_path)


def test_an_allocation_that_forgets_sizes_is_found() -> None:
    with pytest.raises(AssertionError):
        check_allocation(lambda layers, density: [min(1.0, density * (2 if layer.first else 1)) for layer in layers])


def test_an_update_that_is_late_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    on_step = Gradual.on_step
    monkeypatch.setattr(
        Gradual, "on_step", lambda self, model, parts, step, total: on_step(self, model, parts, step - 1, total)
    )
    with pytest.raises(AssertionError):
        check_density_over_time(build(schedule="gradual"))


def test_draws_from_elsewhere_are_found(monkeypatch: pytest.MonkeyPatch) -> None:
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
