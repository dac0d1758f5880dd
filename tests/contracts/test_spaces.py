"""The contract of every registered search space: replay, fixed vector, slots, purity; on tasks of different shapes."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import nn

from nas.graph.identity import count_macs, count_parameters, graph_identity
from nas.space import Chooser, SearchSpace
from nas.space.chooser import PositionChooser, RandomChooser, ReplayChooser
from nas.space.sampling import Searched
from nas.tasks import Task, make_task
from search_spaces import SPACES

SEEDS = range(8)


EXAMPLES = [
    pytest.param(space, id=f"{name}-{number}")
    for name in SPACES.names()
    for number, space in enumerate(SPACES.get(name).examples())
]


@pytest.fixture(scope="module", params=EXAMPLES)
def space(request: pytest.FixtureRequest) -> SearchSpace:
    found: SearchSpace = request.param
    return found


@pytest.fixture(scope="module", params=[8, pytest.param(16, marks=pytest.mark.slow)])
def task(request: pytest.FixtureRequest) -> Task:
    return make_task("digits", image_size=request.param)


def seeds_of(space: SearchSpace, task: Task) -> range:
    """Several seeds; a single one for a fixed network, because without questions all builds are equal."""
    chooser = RandomChooser(0)
    with torch.device("meta"):
        space.build(chooser, task)
    return SEEDS if chooser.questions else SEEDS[:1]


def check_replay(space: SearchSpace, task: Task) -> None:
    """Sample → identity → build → the same identity, the same keys, twice."""
    searched = Searched(space, {"name": "space"}, (), task)
    shape = (1, *task.input_shape)
    for seed in seeds_of(space, task)[:4]:
        sampled = searched.sample(RandomChooser(seed))
        built = [searched.build(sampled.architecture, seed=7) for _ in range(2)]
        identity = graph_identity(sampled.model, shape, {})
        assert all(graph_identity(network.model, shape, {}) == identity for network in built)
        first, second = (network.model.state_dict() for network in built)
        assert first.keys() == sampled.model.state_dict().keys()
        assert all(torch.equal(first[key], second[key]) for key in first)


def check_fixed_vector(space: SearchSpace, task: Task) -> None:
    """Every build asks the same questions with the same options, in the same order."""
    asked = set()
    for seed in seeds_of(space, task):
        chooser = RandomChooser(seed)
        with torch.device("meta"):
            space.build(chooser, task)
        asked.add(tuple((item.name, item.options, item.ordered) for item in chooser.questions.values()))
    assert len(asked) == 1


def check_inactive_questions_have_no_effect(space: SearchSpace, task: Task) -> None:
    """The active answers alone determine the network."""
    shape = (1, *task.input_shape)
    for seed in seeds_of(space, task)[:4]:
        chooser = RandomChooser(seed)
        with torch.device("meta"):
            model = space.build(chooser, task)
            replay = ReplayChooser(chooser.active_answers)
            again = space.build(replay, task)
        replay.finish()
        assert graph_identity(again, shape, {}) == graph_identity(model, shape, {})


def check_ordered_options_run_from_cheap_to_dear(space: SearchSpace, task: Task) -> None:
    shape = (1, *task.input_shape)
    searched = Searched(space, {"name": "space"}, (), task)
    chooser = PositionChooser(0.0)
    searched.sample(chooser)
    costs = [count_macs(searched.sample(PositionChooser(position)).model, shape) for position in (0.0, 0.5, 1.0)]
    if any(question.ordered for question in chooser.questions.values()):
        assert costs[0] < costs[1] < costs[2]
    else:
        assert costs[0] == costs[1] == costs[2]


def check_fixed_sites(space: SearchSpace, task: Task) -> None:
    """Policies are asked about the same sites in every network of the space."""
    found = set()
    for seed in seeds_of(space, task):
        with torch.device("meta"):
            model = space.build(RandomChooser(seed), task)
        sites = space.sites(model)
        found.add(tuple((site.kind, site.module) for site in sites))
        active = {site.module for site in sites if site.active}
        assert active <= {path for path, _ in model.named_modules()}
    assert len(found) == 1


CHECKS = [
    check_replay,
    check_fixed_vector,
    check_inactive_questions_have_no_effect,
    check_ordered_options_run_from_cheap_to_dear,
    check_fixed_sites,
]


@pytest.mark.parametrize("check", CHECKS)
def test_space(space: SearchSpace, task: Task, check: Callable[[SearchSpace, Task], None]) -> None:
    check(space, task)


def test_the_networks_answer_the_task(space: SearchSpace, task: Task) -> None:
    searched = Searched(space, {"name": "space"}, (), task)
    for seed in seeds_of(space, task)[:4]:
        network = searched.build(searched.sample(RandomChooser(seed)).architecture, seed=0)
        network.model.eval()
        assert network.model(torch.zeros(2, *task.input_shape)).shape == (2, task.num_outputs)
        assert count_parameters(network.model) > 0


def test_policies_say_what_they_did_to_every_weight(space: SearchSpace, task: Task) -> None:
    """Policies describe a network that has only shapes, one with weights, and one that is finished."""
    policies = ({"name": "sparsity", "scope": "stage"}, {"name": "precision", "scope": "stage"})
    searched = Searched(space, {"name": "space"}, policies, task)
    for seed in SEEDS:
        sampled = searched.sample(RandomChooser(seed))
        weights = {site.module for site in space.sites(sampled.model) if site.kind == "weight" and site.active}
        facts = sampled.describe()
        assert weights <= facts.keys()
        assert all(0 < float(facts[path]["realised_density"]) <= 1 and facts[path]["bits"] for path in weights)
    built = searched.build(sampled.architecture, seed=0)
    assert built.describe().keys() == facts.keys()
    built.finalize()
    assert built.describe().keys() == facts.keys()


class _Drifting(SearchSpace):
    """Planted: widths from its own counter, questions and layers that change between builds, most expensive option
    first.
    """

    def __init__(self) -> None:
        self.builds = 0

    def build(self, chooser: Chooser, task: Task) -> nn.Module:
        self.builds += 1
        deep = chooser.choose("deep", [False, True])
        width = int(chooser.choose("width", [64, 32, 8], ordered=True))  # type: ignore[arg-type]
        hidden = int(chooser.choose("hidden", [4, 8])) if deep else 4  # type: ignore[arg-type]
        unseen = int(chooser.choose("unseen", [1, 2, 3], active=False))  # type: ignore[arg-type]
        inputs = task.input_shape[0] * task.input_shape[1] * task.input_shape[2]
        return nn.Sequential(
            nn.Flatten(),
            nn.Linear(inputs, width + self.builds),
            nn.Linear(width + self.builds, hidden + unseen),
            nn.Linear(hidden + unseen, 10),
            *([nn.Linear(10, 10)] if deep else []),
        )


@pytest.mark.parametrize("check", CHECKS)
def test_each_check_fails_on_a_space_that_breaks_its_rule(check: Callable[[SearchSpace, Task], None]) -> None:
    with pytest.raises(AssertionError):
        check(_Drifting(), make_task("digits", image_size=8))
