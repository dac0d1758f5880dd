"""The trials and values that the adapter shows to a sampler, recorded by a sampler of this test."""

from __future__ import annotations

import logging
from typing import Any

import pytest
from optuna.samplers import RandomSampler
from optuna.trial import TrialState

from nas.space.chooser import Chooser
from nas.strategies import Goal, Limit, Observation, Suggestion
from nas.strategies.optuna_sampler import SamplerAdapter

GOAL = Goal({"accuracy": "maximize", "latency_ms": "minimize"}, {"latency_ms": Limit(max=2.0), "macs": Limit(max=9)})


class Spy(RandomSampler):
    """A sampler that records the trials it could learn from."""

    def __init__(self, seen: list[Any], seed: int) -> None:
        super().__init__(seed=seed)
        self._seen = seen

    def before_trial(self, study: Any, trial: Any) -> None:
        self._seen[:] = [other for other in study.get_trials(deepcopy=False) if other.number != trial.number]


class Watched:
    """An adapter, and the last trials its sampler saw."""

    def __init__(self, recent: int = 10, pinned: tuple[int, ...] = ()) -> None:
        self.seen: list[Any] = []
        self.spaces: list[dict[str, Any]] = []
        self.adapter = SamplerAdapter(GOAL, 0, self._sampler, recent=recent, pinned=lambda attrs, observations: pinned)

    def _sampler(self, seed: int, space: dict[str, Any]) -> Spy:
        self.spaces.append(space)
        return Spy(self.seen, seed)

    def suggest(self, number: int) -> Suggestion:
        return self.adapter.propose(build, number)[0]

    def look(self, number: int) -> dict[int, Any]:
        self.suggest(number)
        return {trial.number: trial for trial in self.seen}


def build(chooser: Chooser) -> None:
    chooser.choose("width", (8, 16, 32), ordered=True)
    chooser.choose("flag", (1, True, 1.0, "1", None))


def complete(suggestion: Suggestion, accuracy: float, latency_ms: float) -> Observation:
    return Observation(suggestion, "complete", {"accuracy": accuracy, "latency_ms": latency_ms}, {"latency_ms": -0.1})


def test_answers_keep_their_type() -> None:
    watched = Watched()
    answers = [watched.suggest(number).answers["flag"] for number in range(60)]
    assert {repr(answer) for answer in answers} == {"1", "True", "1.0", "'1'", "None"}


def test_states_are_told_as_optuna_knows_them() -> None:
    watched = Watched()
    asked = [watched.suggest(number) for number in range(5)]
    watched.adapter.observe(
        [
            complete(asked[0], 0.9, 1.0),
            Observation(asked[1], "infeasible", {"latency_ms": 3.0}, {"latency_ms": 0.5}),
            Observation(asked[2], "failed"),
            Observation(asked[3], "stopped", {"accuracy": 0.5}),
            Observation(asked[4], "running"),
        ]
    )
    seen = watched.look(5)
    states = [TrialState.COMPLETE] * 2 + [TrialState.FAIL] * 2 + [TrialState.RUNNING]
    assert [seen[number].state for number in range(5)] == states
    assert seen[0].constraints == {"latency_ms": -0.1, "macs": 0.0}
    assert seen[1].constraints == {"latency_ms": 0.5, "macs": 0.0}


def test_a_missing_value_is_the_worst_seen_and_follows_it() -> None:
    watched = Watched()
    asked = [watched.suggest(number) for number in range(4)]
    rejected = Observation(asked[0], "infeasible", {"latency_ms": 3.0}, {"latency_ms": 0.5})
    watched.adapter.observe([rejected])
    assert watched.look(4)[0].values == [0.0, 3.0]
    watched.adapter.observe([complete(asked[1], 0.9, 1.0)])
    assert watched.look(5)[0].values == [0.9, 3.0]
    watched.adapter.observe([complete(asked[2], 0.4, 1.0)])
    watched.adapter.observe([complete(asked[3], 0.7, 1.0)])
    assert watched.look(6)[0].values == [0.4, 3.0]


def test_a_value_that_is_no_number_is_a_failure() -> None:
    watched = Watched()
    asked = watched.suggest(0)
    watched.adapter.observe([complete(asked, float("nan"), 1.0)])
    assert watched.look(1)[0].state == TrialState.FAIL


def test_rejected_without_a_broken_limit_is_infeasible_all_the_same() -> None:
    watched = Watched()
    watched.adapter.observe([Observation(watched.suggest(0), "infeasible", {}, {})])
    assert max(watched.look(1)[0].constraints.values()) > 0


def test_history_is_bounded_but_for_pinned_and_running_trials() -> None:
    watched = Watched(recent=10, pinned=(3,))
    asked = [watched.suggest(number) for number in range(100)]
    watched.adapter.observe([Observation(asked[1], "running")])
    for suggestion in asked[2:]:
        watched.adapter.observe([complete(suggestion, 0.9, 1.0)])
    seen = watched.look(100)
    assert len(seen) <= 17
    assert {1, 3, *range(90, 100)} <= set(seen)


def test_live_and_rebuilt_windows_are_equal() -> None:
    live, rebuilt = Watched(), Watched()
    history = [complete(live.suggest(number), 0.01 * number, 1.0) for number in range(57)]
    for observation in history:
        live.adapter.observe([observation])
    rebuilt.adapter.observe(history)
    expected, found = live.look(57), rebuilt.look(57)
    assert list(found) == list(expected)
    assert all(found[number].params == trial.params for number, trial in expected.items())


def test_the_space_is_what_finished_trials_share() -> None:
    def other(chooser: Chooser) -> None:
        chooser.choose("width", (8, 16, 32), ordered=True)
        chooser.choose("depth", (1, 2))

    watched = Watched()
    first, second = watched.suggest(0), watched.adapter.propose(other, 1)[0]
    watched.adapter.observe([complete(first, 0.9, 1.0)])
    watched.suggest(2)
    assert set(watched.spaces[-1]) == {"width", "flag"}
    watched.adapter.observe([complete(second, 0.9, 1.0)])
    watched.suggest(3)
    assert set(watched.spaces[-1]) == {"width"}


def test_nothing_is_printed(capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO):
        Watched().suggest(0)
    assert capfd.readouterr() == ("", "")
