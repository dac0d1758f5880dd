from __future__ import annotations

import functools
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from nas.errors import PlanError, UnknownNameError
from nas.estimators.training import Training
from nas.export.weights import save_weights
from nas.space import Architecture, Network
from nas.space.chooser import RandomChooser, ReplayChooser
from nas.space.sampling import Searched
from nas.tasks import Task, make_task
from search_spaces.module import Module, three_layers
from trials.plans.plan import make_plan
from trials.plans.problem import open_problem

THREE = "search_spaces.module:three_layers"


@pytest.fixture(scope="module")
def task() -> Task:
    return make_task("digits", image_size=8)


class Normed(nn.Module):
    """A network with two norms, the first of which is to be frozen."""

    def __init__(self, num_classes: int = 10) -> None:
        super().__init__()
        self.trunk = nn.Sequential(nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.ReLU())
        self.top = nn.Sequential(nn.Conv2d(4, 4, 3), nn.BatchNorm2d(4), nn.ReLU())
        self.head = nn.Linear(4, num_classes)

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        return self.head(self.top(self.trunk(inputs)).mean((2, 3)))  # type: ignore[no-any-return]


def text() -> str:
    return "not a module"


def five_classes() -> nn.Module:
    return Normed(5)


def here(name: str) -> str:
    return f"{__name__}:{name}"


def test_the_factory_gets_what_it_takes(task: Task) -> None:
    model = Module(here("Normed")).build(ReplayChooser({}), task)
    assert model.head.out_features == 10
    model = Module(THREE).build(ReplayChooser({}), task)
    assert model.get_submodule("0").in_channels == 1


def test_a_network_for_another_task_is_refused_with_the_plan(task: Task) -> None:
    with torch.device("meta"):
        with pytest.raises(PlanError, match=r"returns \(1, 5\).*needs \(1, 10"):
            Module(here("five_classes")).build(ReplayChooser({}), task)
        with pytest.raises(PlanError, match="does not take inputs"):
            Module(here("Normed")).build(ReplayChooser({}), make_task("shapes", image_size=16))
    with pytest.raises(PlanError, match="to return str"):
        Module(here("text")).build(ReplayChooser({}), task)


def test_factories_that_are_none() -> None:
    with pytest.raises(PlanError, match="package:function"):
        Module()
    with pytest.raises(UnknownNameError, match="three_layers"):
        Module("search_spaces.module:tree_layers")


def test_policies_act_where_search_says(task: Task) -> None:
    space = Module(THREE, search=["[02]"])
    policies = ({"name": "precision", "scope": "site"},)
    network = Searched(space, {"name": "module"}, policies, task).sample(RandomChooser(0))
    assert {name.split(".")[1] for name in network.architecture.choices} == {"0", "2"}
    space = Module(THREE, search=["layer1"])
    model = space.build(ReplayChooser({}), task)
    with pytest.raises(PlanError, match="'layer1' matches none of 0, 2, 5"):
        space.sites(model)


def test_frozen_tensors_are_bit_equal_after_training_and_the_others_are_not(task: Task) -> None:
    torch.manual_seed(0)
    model = Module(here("Normed"), freeze=["trunk.*"]).build(ReplayChooser({}), task)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    network = Network(Architecture({"name": "module"}, (), {}), model)
    for _ in Training(epochs=1, channels_last=False).fit(network, task, seed=0):
        pass
    changed = {name for name, value in network.model.state_dict().items() if not torch.equal(value, before[name])}
    assert changed == {name for name in before if not name.startswith("trunk.")}


def identity(**parameters: Any) -> str:
    problem = open_problem(
        make_plan(
            {"task": {"name": "digits", "image_size": 8}, "space": {"name": "module", "factory": THREE} | parameters}
        )
    )
    return problem.identity(problem.searched.sample(ReplayChooser({})))


def test_another_start_is_another_experiment(task: Task, tmp_path: Path) -> None:
    torch.manual_seed(0)
    for name in ("a", "b"):
        save_weights(Module(THREE).build(ReplayChooser({}), task), tmp_path / name)
    starts: list[dict[str, Any]] = [
        {},
        {"freeze": ["0.*"]},
        {"weights": str(tmp_path / "a")},
        {"weights": str(tmp_path / "b")},
        {"weights": str(tmp_path / "a"), "freeze": ["0.*"]},
    ]
    assert len({identity(**start) for start in starts}) == len(starts)
    assert identity(search=["0"]) == identity()


def misleading() -> int:
    raise AssertionError("called")


SECOND = functools.partial(three_layers, 10)


@pytest.mark.parametrize(
    ("factory", "words"),
    [
        ("os:system", "builtin_function_or_method; name a function or a class"),
        ("os:getcwd", "builtin_function_or_method"),
        ("os:abort", "builtin_function_or_method"),
        ("os:removedirs", "Python's own library"),
        ("subprocess:run", "Python's own library"),
        ("webbrowser:open", "Python's own library"),
        ("pathlib:Path", "no torch.nn.Module"),
        (f"{__name__}:misleading", "annotated to return"),
        ("search_spaces.module:three_layer", "did you mean 'three_layers'"),
        ("three_layers", "give package:function"),
    ],
)
def test_a_factory_of_another_kind_is_refused_before_it_is_called(factory: str, words: str) -> None:
    with pytest.raises((PlanError, UnknownNameError), match=words):
        Module(factory)


@pytest.mark.parametrize("factory", [THREE, f"{__name__}:SECOND", f"{__name__}:Normed", "torchvision.models:resnet18"])
def test_functions_classes_and_partial_functions_are_factories(factory: str) -> None:
    assert Module(factory)
