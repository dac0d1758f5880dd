"""Networks as users of torch write them: the finished network computes what was trained, or the network is refused by
name.
"""

from __future__ import annotations

from typing import Any

import pytest
import torch

from nas.errors import NasError
from nas.space.chooser import PositionChooser, RandomChooser
from tests.contracts.habits import HABITS, IMAGE_SIZE, factory_name
from trials.plans.plan import make_plan
from trials.plans.problem import Problem, open_problem

#: Deprecated weight norms, and layers of unknown shape, raise warnings.
pytestmark = [pytest.mark.filterwarnings("ignore::FutureWarning"), pytest.mark.filterwarnings("ignore:Lazy")]

#: Habit → text in the message that refuses it.
REFUSED = {
    "arguments.TwoInputs": "missing a required argument: 'other'",
    "arguments.DictOutput": "a dict of logits, features",
    "arguments.TupleOutput": "a tuple of 2",
    "arguments.OneInATuple": "a tuple of 1",
    "arguments.TrainingOnlyOutput": "a tuple in training mode",
    "construction.HalfPrecision": "conv.weight of float16",
    "construction.half_precision_inputs": "0.weight of float16",
    "construction.DoublePrecision": "conv.weight of float64",
    "flow.BranchOnValues": r"looks at values.*flow.py:\d+, in forward",
    "flow.RaisesInForward": r"Invalid channel dimensions.*flow.py:\d+, in forward",
    "flow.RaisesInConstructor": r"IndexError: list index out of range.*flow.py:\d+, in __init__",
    "functional.OverwritesWhatItNeeds": "can't be trained",
}
#: Habit → text in the message that refuses it. Such a network can be trained, but no exported file would compute the
#: same.
UNSHIPPABLE = {
    "hooks.hook_on_network": "whole network",
    "hooks.pre_hook_on_network": "whole network",
    "hooks.hook_on_layer": "'second'",
    "hooks.pre_hook_on_layer": "'second'",
    "layers.average_pool_divisor": "AvgPool2d",
}
#: Habits that are random in evaluation mode: their outputs can't be compared.
RANDOM = {"flow.DropoutLeftOn", "flow.StochasticDepthLeftOn"}
POLICIES: dict[str, list[dict[str, Any]]] = {
    "dense": [],
    "unstructured": [{"name": "sparsity", "scope": "site", "patterns": ["unstructured"], "densities": [0.3, 0.5, 1.0]}],
    "channels": [{"name": "sparsity", "scope": "site", "patterns": ["channels"], "densities": [0.25, 0.5, 1.0]}],
}
#: Habits that `make test` runs.
FAST = ("sharing", "shapes", "arguments.OptionalArgument", "construction.LooksAtValues", "construction.Unused")


def opened(habit: str, policies: str) -> Problem:
    given = [{**policy, "schedule": "static_random"} for policy in POLICIES[policies]]
    return open_problem(
        make_plan(
            {
                "task": {"name": "digits", "image_size": IMAGE_SIZE},
                "space": {"name": "module", "factory": factory_name(habit)},
                "policies": given,
            }
        )
    )


@pytest.mark.parametrize(("habit", "says"), [*REFUSED.items(), *UNSHIPPABLE.items()])
def test_what_can_not_be_used_is_refused_by_name(habit: str, says: str) -> None:
    with pytest.raises(NasError, match=f"(?s){says}"):
        opened(habit, "dense")


@pytest.mark.parametrize("policies", POLICIES)
@pytest.mark.parametrize(
    "habit",
    [
        pytest.param(habit, marks=[] if habit.startswith(FAST) else [pytest.mark.slow])
        for habit in HABITS
        if habit not in {*REFUSED, *UNSHIPPABLE, *RANDOM}
    ],
)
def test_a_finished_network_computes_what_was_trained(habit: str, policies: str) -> None:
    problem = opened(habit, policies)
    inputs = torch.rand(3, 1, IMAGE_SIZE, IMAGE_SIZE, generator=torch.Generator().manual_seed(1))
    for chooser in (PositionChooser(0.0), RandomChooser(3)):
        sampled = problem.searched.sample(chooser)
        network = problem.searched.build(sampled.architecture, 0)
        assert problem.identity(network) == problem.identity(sampled)
        with torch.no_grad():
            trained = network.model.eval()(inputs)
            network.finalize()
            finished = network.model.eval()(inputs)
        torch.testing.assert_close(finished, trained, rtol=1e-4, atol=1e-5)
        counted = problem.static_metrics(network)
        assert 0 < counted["nonzero_parameters"] <= counted["parameters"]
