"""Samplers of Optuna by name."""

from __future__ import annotations

import inspect

import pytest

from nas.errors import PlanError, UnknownNameError
from nas.space.chooser import Chooser
from nas.strategies import STRATEGIES, Goal, Observation, Strategy
from nas.strategies.optuna_strategy import optuna_strategy, sampler_names

GOAL = Goal({"accuracy": "maximize"}, {})


def build(chooser: Chooser) -> float:
    widths = [chooser.choose(f"width{place}", tuple(range(64)), ordered=True) for place in range(2)]
    return -sum((int(width) - 20) ** 2 for width in widths)  # type: ignore[arg-type]


def best(strategy: Strategy, steps: int) -> float:
    found = []
    for number in range(steps):
        suggestion, accuracy = strategy.propose(build, number)
        strategy.observe([Observation(suggestion, "complete", {"accuracy": accuracy})])
        found.append(accuracy)
    return max(found)


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("optuna:GpSampler", r"no sampler 'GpSampler'.*did you mean 'GPSampler'\? Known: optuna:BruteForceSampler, "),
        ("optuna:AutoSampler", r"OptunaHub, whose package downloads code.*choose one of optuna:BruteForceSampler, "),
        ("optuna:CmaEsSampler", r"pickled objects.*choose one of optuna:BruteForceSampler, "),
        ("optuna:PartialFixedSampler", r"no sampler 'PartialFixedSampler' that can be a strategy"),
        ("optuna", r"unknown strategy 'optuna'.*optuna:…"),
    ],
)
def test_a_sampler_that_is_no_strategy_is_refused(name: str, words: str) -> None:
    with pytest.raises(UnknownNameError, match=words):
        STRATEGIES.get(name)


@pytest.mark.parametrize(
    ("name", "parameters", "words"),
    [
        ("GPSampler", {"startup_trials": 3}, r"no parameter 'startup_trials'; did you mean 'n_startup_trials'"),
        ("GPSampler", {"warn": 1}, r"no parameter 'warn'; it takes: n_startup_trials, deterministic_objective"),
        ("QMCSampler", {"qmc_type": "latin"}, r"optuna:QMCSampler: .*latin"),
        ("NSGAIISampler", {"population_size": 1}, r"optuna:NSGAIISampler: .*population_size"),
    ],
)
def test_parameters_are_those_of_the_sampler(name: str, parameters: dict[str, object], words: str) -> None:
    with pytest.raises(PlanError, match=words):
        optuna_strategy(name)(GOAL, 0, **parameters)


def test_a_gaussian_process_sees_the_order_of_answers() -> None:
    """One network in 4,096 is the best; random search is far from it after 30 proposals."""
    assert best(STRATEGIES.get("optuna:GPSampler")(GOAL, 0), 30) >= -2
    assert best(STRATEGIES.get("optuna:RandomSampler")(GOAL, 0), 30) < -2


def test_a_quasi_random_sequence_goes_on() -> None:
    strategy = STRATEGIES.get("optuna:QMCSampler")(GOAL, 0)
    answers = []
    for number in range(1 + 16):  # Optuna draws the first one at random
        suggestion, accuracy = strategy.propose(build, number)
        strategy.observe([Observation(suggestion, "complete", {"accuracy": accuracy})])
        answers.append(suggestion.answers)
    for question in ("width0", "width1"):
        quarters = [int(item[question]) // 16 for item in answers[1:]]  # type: ignore[arg-type]
        assert sorted(quarters) == sorted([0, 1, 2, 3] * 4)


def test_the_description_names_every_sampler() -> None:
    assert not [name for name in sampler_names() if f"`{name}`" not in (inspect.getdoc(optuna_strategy) or "")]
