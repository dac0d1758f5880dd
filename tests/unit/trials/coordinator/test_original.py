from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from nas.errors import OriginalError, PlanError
from nas.export.weights import save_weights
from nas.space import Architecture
from nas.space.chooser import PositionChooser
from nas.strategies import Goal, Limit, Observation
from nas.strategies.nsga2 import FixedSpaceNsga2
from search_spaces.module import three_layers
from tests.unit.trials.pretending import timed
from trials.coordinator.original import original_of, settled, waiting_for_original
from trials.coordinator.pipeline import OpenTrial, after
from trials.plans.plan import make_plan
from trials.plans.problem import Problem, open_problem
from trials.store.records import MetricValue

MODULE = {"name": "module", "factory": "search_spaces.module:three_layers"}
REACHABLE = [{"name": "precision", "options": ["int8", "fp32"]}, {"name": "sparsity", "densities": [0.5, 1.0]}]
UNREACHABLE = [{"name": "precision", "options": ["int8"]}, {"name": "sparsity", "densities": [0.5]}]


def problem(**keys: Any) -> Problem:
    plan = {"task": {"name": "digits", "image_size": 8}, "space": MODULE, "policies": REACHABLE, **keys}
    return open_problem(make_plan(plan))


def test_only_a_space_of_one_network_under_a_strategy_that_searches_has_an_original() -> None:
    assert original_of(problem()) is not None
    assert original_of(problem(policies=[])) is not None
    assert original_of(problem(space={"name": "timm_model", "model": "resnet10t"}, policies=[])) is not None
    assert original_of(problem(space={"name": "plain_convnet"})) is None
    listed = {"name": "given", "choices": [{"precision": "int8", "sparsity.density": 1.0}]}
    assert original_of(problem(strategy=listed)) is None


def test_the_answers_that_lead_to_the_original_are_told() -> None:
    found = problem()
    original = original_of(found)
    assert original is not None
    suggestion = original.suggestion(found)
    assert suggestion.answers["precision"] == "fp32"
    assert suggestion.answers["sparsity.density"] == 1.0
    assert original.described(found).identity == found.twin_identity(original.network.architecture)


def test_an_original_that_no_answers_lead_to_exists_all_the_same() -> None:
    found = problem(policies=UNREACHABLE)
    original = original_of(found)
    assert original is not None
    assert original.suggestion(found).questions == ()
    architecture = Architecture.from_json(original.described(found).definition)
    assert architecture.untouched
    network = found.searched.build(architecture, seed=0)
    assert set(network.bits.values()) == {32}
    assert {facts["bits"] for facts in network.describe().values()} == {32}
    assert {facts["pattern"] for facts in network.describe().values()} == {"dense"}
    counted = found.static_metrics(network)
    assert counted["density"] == 1.0
    assert counted["weight_bits"] == 32.0
    assert counted["weight_bytes"] == 4 * sum(p.numel() for p in network.model.parameters() if p.ndim > 1)
    assert set(network.account()) == set(found.searched.sample(PositionChooser(0.0)).account())


def test_untouched_weights_are_those_of_the_space(tmp_path: Path) -> None:
    torch.manual_seed(3)
    mine = three_layers(10, 1)
    save_weights(mine, tmp_path / "mine.safetensors")
    found = problem(space={**MODULE, "weights": str(tmp_path / "mine.safetensors")})
    original = original_of(found)
    assert original is not None
    built = found.searched.build(original.network.architecture, seed=0)
    built.finalize()
    for name, value in mine.state_dict().items():
        assert torch.equal(built.model.state_dict()[name], value)


def test_complete_weights_are_scored_as_they_are_and_another_experiment(tmp_path: Path) -> None:
    save_weights(three_layers(10, 1), tmp_path / "mine.safetensors")
    whole = problem(space={**MODULE, "weights": str(tmp_path / "mine.safetensors")})
    original = original_of(whole)
    assert original is not None
    assert original.trained
    assert original.described(whole).identity != whole.identity(original.network)
    save_weights(three_layers(7, 1), tmp_path / "other.safetensors")
    part = problem(space={**MODULE, "weights": str(tmp_path / "other.safetensors"), "strict": False})
    original = original_of(part)
    assert original is not None
    assert not original.trained, "the classifier is initialised again"


@pytest.mark.parametrize("space", [{"name": "plain_convnet"}, MODULE])
def test_limits_relative_to_an_original_need_one(space: dict[str, Any]) -> None:
    limits = {"latency_ms": {"max": {"relative_to": "original", "factor": 0.5}}}
    if space is MODULE:
        assert problem(limits=limits).plan.limits
        return
    with pytest.raises(PlanError, match="relative to the original, but this study has no original"):
        problem(space=space, limits=limits)


def test_a_score_has_no_median_before_training() -> None:
    with pytest.raises(PlanError, match="only known after the training"):
        problem(limits={"accuracy": {"min": {"relative_to": "median", "factor": 0.5}}})


def test_limits_wait_for_the_scores_of_the_original() -> None:
    limits = {"accuracy": {"min": {"relative_to": "original", "factor": 0.9}}, "latency_ms": {"max": 3}}
    found = problem(limits=limits)
    before = {"accuracy": Limit(), "latency_ms": Limit(max=3.0)}
    assert waiting_for_original(found, before) == ["accuracy"]
    after = settled(found, before, {("accuracy", ""): MetricValue("accuracy", "", 0.5)})
    assert after == {"accuracy": Limit(min=0.45), "latency_ms": Limit(max=3.0)}
    assert waiting_for_original(found, after) == []
    with pytest.raises(OriginalError, match="ended without accuracy"):
        settled(found, before, {})


def test_a_limit_does_not_end_the_original_early() -> None:
    found = problem()
    result = timed(2.0)
    for original in (True, False):
        trial = OpenTrial(0, 0, "i", {}, original=original)
        outcome = after(found, {"latency_ms": Limit(max=1.0)}, trial, ("gate", "local"), result)
        assert outcome.candidate_state == (None if original else "infeasible")
        assert bool(outcome.next_jobs) == original
        assert bool(outcome.reason) != original


def test_nsga2_breeds_from_the_original() -> None:
    found = problem(strategy={"name": "nsga2"})
    original = original_of(found)
    assert original is not None
    strategy = found.strategy(Goal({"accuracy": "maximize"}, {}), 0)
    suggestion = original.suggestion(found)
    strategy.observe([Observation(suggestion, "complete", {"accuracy": 0.5})])
    trial = strategy._adapter._storage.trials[0]  # type: ignore[attr-defined]
    assert trial.system_attrs[FixedSpaceNsga2._get_generation_key()] == 0
    proposed, _ = strategy.propose(found.searched.sample, 1)
    assert proposed.number == 1
    assert proposed.answers.keys() == suggestion.answers.keys()
