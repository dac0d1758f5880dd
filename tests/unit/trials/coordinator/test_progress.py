"""A coordinator knows the same about its study whether it saw all events or read them back from the database."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nas.strategies import Limit, Observation, Suggestion
from trials.coordinator.progress import FINAL_STATES, Progress
from trials.plans.problem import Problem
from trials.store.records import MetricValue, StoredSuggestion

Metrics = dict[tuple[str, str], MetricValue]
LIMITS = {"latency_ms": Limit(max=2.0)}


def metrics(accuracy: float, latency_ms: float) -> Metrics:
    return {
        ("accuracy", ""): MetricValue("accuracy", "", accuracy, accuracy - 0.1, accuracy + 0.1),
        ("latency_ms", "local"): MetricValue("latency_ms", "local", latency_ms),
    }


def suggestion(number: int) -> Suggestion:
    return Suggestion(number, (), {"width": number})


def test_suggestions_and_duplicates_are_told_their_candidates_result(plain_problem: Problem) -> None:
    progress = Progress(plain_problem, LIMITS)
    assert progress.proposed(7, suggestion(0), f"network {7}").state == "running"
    assert progress.duplicated(7, suggestion(1)).state == "running"
    progress.moved("queued", "running")
    progress.moved("running", "complete")
    heard = progress.finished(7, "complete", metrics(0.5, 1.5))
    assert [(item.suggestion.number, item.state, dict(item.values)) for item in heard] == [
        (0, "complete", {"accuracy": 0.5, "latency_ms": 1.5}),
        (1, "complete", {"accuracy": 0.5, "latency_ms": 1.5}),
    ]
    late = progress.duplicated(7, suggestion(2))
    assert (late.state, dict(late.values)) == ("complete", {"accuracy": 0.5, "latency_ms": 1.5})
    assert (progress.num_suggestions, progress.duplicates) == (3, 2)
    assert (progress.num_candidates, progress.num_finished, progress.points) == (1, 1, [(0.5, 1.5)])


@pytest.mark.parametrize(("state", "violation"), [("infeasible", 0.25), ("complete", 0.0)])
def test_only_rejected_candidates_violate_a_limit(plain_problem: Problem, state: str, violation: float) -> None:
    """With an interval that reaches below the limit of 2 ms, 2.5 ms does not violate it."""
    progress = Progress(plain_problem, LIMITS)
    progress.proposed(0, suggestion(0), f"network {0}")
    (heard,) = progress.finished(0, state, metrics(0.5, 2.5))
    assert heard.violations == {"latency_ms": pytest.approx(violation)}
    assert bool(progress.points) == (state == "complete")


def test_a_candidate_that_failed_has_no_values_it_never_reached(plain_problem: Problem) -> None:
    progress = Progress(plain_problem, LIMITS)
    progress.proposed(0, suggestion(0), f"network {0}")
    (heard,) = progress.finished(0, "failed", {("latency_ms", "local"): MetricValue("latency_ms", "local", 1.0)})
    assert dict(heard.values) == {"latency_ms": 1.0}
    assert progress.points == []


def test_a_repeat_moves_a_point_or_takes_it_away(plain_problem: Problem) -> None:
    progress = Progress(plain_problem, LIMITS)
    for key in (0, 1):
        progress.proposed(key, suggestion(key), f"network {key}")
        progress.finished(key, "complete", metrics(0.5, 1.5))
    progress.revised(0, "complete", metrics(0.6, 1.4))
    assert sorted(progress.points) == [(0.5, 1.5), (0.6, 1.4)]
    progress.revised(0, "infeasible", metrics(0.6, 2.6))
    assert progress.points == [(0.5, 1.5)]
    assert progress.duplicated(0, suggestion(2)).state == "infeasible"


def test_a_measured_candidate_is_known_until_it_is_chosen_and_then_runs(measuring_problem: Problem) -> None:
    progress = Progress(measuring_problem, LIMITS)
    progress.proposed(7, suggestion(0), f"network {7}")
    progress.moved("queued", "running")
    progress.moved("running", "measured_only")
    timed = {("latency_ms", "local"): MetricValue("latency_ms", "local", 1.5)}
    (heard,) = progress.only_measured(7, timed)
    assert (heard.state, dict(heard.values)) == ("measured_only", {"latency_ms": 1.5})
    assert progress.duplicated(7, suggestion(1)).state == "measured_only"
    assert (progress.measured, progress.num_trials, progress.num_measured, progress.num_finished) == ({0: 7}, 0, 1, 0)
    row = StoredSuggestion(suggestion(0), False, 7, "measured_only", timed)
    restored = Progress(measuring_problem, LIMITS)
    assert restored.restore([row]) == [heard]
    assert restored.measured == {0: 7}

    chosen = progress.chosen(0)
    assert [(item.suggestion.number, item.state, dict(item.values)) for item in chosen] == [
        (0, "running", {"latency_ms": 1.5}),
        (1, "running", {"latency_ms": 1.5}),
    ]
    assert (progress.measured, progress.num_trials, progress.num_measured, progress.num_finished) == ({}, 1, 0, 0)
    assert restored.restore([replace(row, state="running", trained=True)]) == chosen[:1]
    assert (+restored.counts, restored.num_trials) == ({"running": 1}, 1)

    progress.moved("running", "complete")
    assert [item.state for item in progress.finished(7, "complete", metrics(0.5, 1.5))] == ["complete", "complete"]
    assert progress.num_finished == 1


@dataclass
class Happened:
    """The history of a study: the candidate of each suggestion, and how candidates ended."""

    candidates: list[int] = field(default_factory=list)
    ends: dict[int, tuple[str, Metrics]] = field(default_factory=dict)


@st.composite
def studies(draw: st.DrawFn) -> Happened:
    candidates = draw(st.lists(st.integers(0, 4), max_size=12))
    ends = {}
    for key in sorted(set(candidates)):
        if state := draw(st.sampled_from([None, *sorted(FINAL_STATES)])):
            ends[key] = state, metrics(draw(st.floats(0, 1)), draw(st.floats(0.1, 5)))
    return Happened(candidates, ends)


@given(study=studies(), early=st.sets(st.integers(0, 4)))
def test_what_is_read_back_is_what_was_seen(plain_problem: Problem, study: Happened, early: set[int]) -> None:
    """Some candidates end directly after their proposal, the others after the last suggestion."""
    seen = Progress(plain_problem, LIMITS)
    heard: dict[int, Observation] = {}

    def end(key: int) -> None:
        if key in study.ends and study.ends[key][0] not in ended.setdefault(key, set()):
            ended[key].add(study.ends[key][0])
            seen.moved("queued", study.ends[key][0])
            heard.update({item.suggestion.number: item for item in seen.finished(key, *study.ends[key])})

    ended: dict[int, set[str]] = {}
    for number, key in enumerate(study.candidates):
        is_new = key not in study.candidates[:number]
        if is_new:
            heard[number] = seen.proposed(key, suggestion(number), f"network {key}")
        else:
            heard[number] = seen.duplicated(key, suggestion(number))
        if key in early:
            end(key)
    for key in study.ends:
        end(key)

    restored = Progress(plain_problem, LIMITS)
    rows = [
        StoredSuggestion(
            suggestion(number), key in study.candidates[:number], key, *study.ends.get(key, ("queued", {}))
        )
        for number, key in enumerate(study.candidates)
    ]
    assert restored.restore(rows) == [heard[number] for number in range(len(study.candidates))]
    assert +restored.counts == +seen.counts
    assert sorted(restored.points) == sorted(seen.points)
    for count in ("num_suggestions", "duplicates", "num_candidates", "num_finished"):
        assert getattr(restored, count) == getattr(seen, count)
    assert restored.restore(rows) == [heard[number] for number in range(len(study.candidates))], (
        "reading back a second time must give the same"
    )
