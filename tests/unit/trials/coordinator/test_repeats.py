"""Repeats of candidates with an uncertain place on the front: a real coordinator and store, and workers that only
pretend.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from scipy import stats
from sqlalchemy import select
from sqlalchemy.orm import Session

from nas.strategies import Limit
from nas.tasks.intervals import Z
from tests.unit.trials.assigned import assigned
from tests.unit.trials.coordinator.test_twins import NETWORK
from tests.unit.trials.pretending import ACCURACY_HALF, CANDIDATE_MS, Pretending, latency
from trials.analysis.membership import membership_of
from trials.analysis.over_seeds import over_seeds
from trials.coordinator.coordinator import Coordinator
from trials.coordinator.repeats import Repeat, best, doubtful
from trials.plans.plan import ConfidencePlan, make_plan
from trials.plans.problem import Problem, open_problem
from trials.plans.studies import given_plan
from trials.store.models import Candidate, JobRow, Measurement
from trials.store.read.candidates import candidates_page
from trials.store.read.points import points
from trials.store.store import Store
from trials.store.write.targets import add_target

REMEASURE, RETRAIN = 4, 3
WIDTHS = (8, 16, 24)


@pytest.fixture(scope="module")
def problem() -> Problem:
    return confirming(REMEASURE, RETRAIN)


def confirming(remeasure: int, retrain: int, revisit_s: float = 0.0) -> Problem:
    return open_problem(
        make_plan(
            {
                "task": {"name": "digits", "image_size": 8},
                "space": {"name": "plain_convnet"},
                "strategy": {
                    "name": "given",
                    "choices": [NETWORK | {"stage1.conv1.width": width} for width in WIDTHS],
                },
                "measure": {"audit": 0.0},
                "confidence": {"remeasure": remeasure, "retrain": retrain, "revisit_s": revisit_s},
                "executor": "local",
                "budget": {"trials": len(WIDTHS)},
            }
        )
    )


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    store = Store(f"sqlite:///{tmp_path / 'nas.db'}")
    store.write(add_target, "local", {}, {})
    yield store
    store.close()


def again(kind: str, payload: Mapping[str, Any]) -> Mapping[str, Any]:
    """The result of a repeat: a little faster than before; trained again, 0.1 less accurate than the first training."""
    if kind == "remeasure":
        value = CANDIDATE_MS - 0.1 * len(payload["earlier"])
        pooled = {"latency_ms": value, "low_ms": value - 0.1, "high_ms": value + 0.1, "percentiles": {}}
        return {"structure_hash": "s", "latency": latency(CANDIDATE_MS), "pooled": pooled}
    return {"seed": payload["seed"], "scores": {"accuracy": int(payload["identity"][:4], 16) / 0xFFFF - 0.1}}


def coordinator(store: Store, problem: Problem, executor: Pretending, **limits: Limit) -> Coordinator:
    """The coordinator of a new study, or of the existing one."""
    return Coordinator(store, assigned(store, problem, limits=limits), executor, {})


def jobs(store: Store) -> list[JobRow]:
    with Session(store.engine, expire_on_commit=False) as session:
        return list(session.scalars(select(JobRow).order_by(JobRow.id)))


def repeats(store: Store) -> Counter[str]:
    return Counter(job.kind.partition("-")[0] for job in jobs(store) if "-" in job.kind)


def test_the_budget_is_spent_on_the_contested_and_values_are_pooled(store: Store, problem: Problem) -> None:
    executor = Pretending(again=again)
    assert coordinator(store, problem, executor).run() == "complete"
    assert repeats(store) == {"remeasure": REMEASURE, "retrain": RETRAIN}
    assert {job.state for job in jobs(store)} == {"done"}
    last = max(place for place, (kind, _) in enumerate(executor.ran) if kind not in ("remeasure", "retrain"))
    assert len(executor.ran) - 1 - last == REMEASURE + RETRAIN, "repeats must come last"
    seen = Counter((kind, number) for kind, number in executor.ran)
    for row in candidates_page(store, "study").rows:
        found, times = row.metrics["latency_ms"], seen["remeasure", row.number]
        assert found.value == pytest.approx(CANDIDATE_MS - 0.1 * times if times else CANDIDATE_MS)
        accuracy, times = row.metrics["accuracy"], seen["retrain", row.number]
        with Session(store.engine) as session:
            query = select(JobRow.result).join(Candidate).where(Candidate.number == row.number, JobRow.kind == "train")
            first = session.scalars(query).one()["metrics"]["accuracy"]
        assert accuracy.value == pytest.approx(first - 0.1 * times / (times + 1))
        assert accuracy.low is not None
        assert accuracy.low <= accuracy.value - ACCURACY_HALF + 1e-9
    with Session(store.engine) as session:
        purposes = Counter(session.scalars(select(Measurement.purpose)))
    assert purposes == {"gate": len(WIDTHS), "remeasure": REMEASURE}


def test_the_best_and_the_most_uncertain_candidates_are_repeated_first(store: Store, problem: Problem) -> None:
    found: list[tuple[dict[int, float], set[int]]] = []

    def remember(kind: str, payload: Mapping[str, Any]) -> Mapping[str, Any]:
        seen = points(store, "study")
        found.append((membership_of(seen), set(seen.numbers[seen.on_front].tolist())))
        return again(kind, payload)

    executor = Pretending(again=remember)
    coordinator(store, problem, executor).run()
    shares, front = found[0]
    doubt = {number: share * (1 - share) for number, share in shares.items()}
    for kind, among in {"remeasure": front, "retrain": set(doubt)}.items():
        first = next(number for ran, number in executor.ran if ran == kind)
        assert first in among
        assert doubt[first] == max(doubt[number] for number in among) > 0


def test_measurements_of_a_candidate_are_kept_apart_and_the_study_waits_for_the_last(store: Store) -> None:
    """The pause is shorter than in real studies. At first, none of the three candidates just measured is due."""
    revisit_s, taken = 0.4, list[tuple[float, float]]()

    def repeat(kind: str, payload: Mapping[str, Any]) -> Mapping[str, Any]:
        with Session(store.engine) as session:
            rows = select(Measurement.created_at).join(Candidate).where(Candidate.number == payload["candidate"])
            newest = max(session.scalars(rows)).timestamp()
        taken.append((time.time() - newest, time.monotonic()))
        return again(kind, payload)

    executor = Pretending(again=repeat)
    assert coordinator(store, confirming(REMEASURE, 0, revisit_s), executor).run() == "complete"
    assert repeats(store) == {"remeasure": REMEASURE}
    assert min(age for age, _ in taken) >= revisit_s - 0.002  # the database stores times in milliseconds
    assert len({number for kind, number in executor.ran if kind == "remeasure"}) > 1


@pytest.mark.parametrize("dies_after", range(REMEASURE + RETRAIN))
def test_a_killed_coordinator_spends_the_budget_once(store: Store, problem: Problem, dies_after: int) -> None:
    """The process ends after a repeat was given to a worker; the next process continues from the database."""
    done: list[str] = []

    def die(kind: str, payload: Mapping[str, Any]) -> Mapping[str, Any]:
        if len(done) == dies_after:
            raise SystemExit
        done.append(kind)
        return again(kind, payload)

    with pytest.raises(SystemExit):
        coordinator(store, problem, Pretending(again=die)).run()
    assert coordinator(store, problem, Pretending(again=again)).run() == "complete"
    assert repeats(store) == {"remeasure": REMEASURE, "retrain": RETRAIN}
    assert {job.state for job in jobs(store)} == {"done"}
    with Session(store.engine) as session:
        assert Counter(session.scalars(select(Measurement.purpose)))["remeasure"] == REMEASURE


def test_a_repeat_may_find_a_limit_broken(store: Store, problem: Problem) -> None:
    """The interval of 1.85 ms still reaches the limit, so the candidate may keep it; 1.9 ± 0.04 ms breaks it."""
    pooled = {"latency_ms": 1.9, "low_ms": 1.86, "high_ms": 1.94, "percentiles": {}}

    def narrow(kind: str, payload: Mapping[str, Any]) -> Mapping[str, Any]:
        found = again(kind, payload)
        return {**found, "pooled": pooled} if kind == "remeasure" and payload["candidate"] else found

    coordinator(store, problem, Pretending(again=narrow), latency_ms=Limit(max=1.85)).run()
    rows = candidates_page(store, "study").rows
    assert {row.state for row in rows} == {"infeasible", "complete"}
    assert all("over the limit" in str(row.reason) for row in rows if row.state == "infeasible")


def test_a_repeat_gives_percentiles_of_all_runs(store: Store, problem: Problem) -> None:
    percentiles = {"latency_p90_ms": (2.5, 2.4, None)}

    def repeat(kind: str, payload: Mapping[str, Any]) -> Mapping[str, Any]:
        found = again(kind, payload)
        return {**found, "pooled": {**found["pooled"], "percentiles": percentiles}} if kind == "remeasure" else found

    executor = Pretending(again=repeat)
    coordinator(store, problem, executor).run()
    repeated = {number for kind, number in executor.ran if kind == "remeasure"}
    assert repeated
    for row in candidates_page(store, "study").rows:
        found = row.metrics.get("latency_p90_ms")
        values = found and (found.value, found.low, found.high)
        assert values == ((2.5, 2.4, None) if row.number in repeated else None)


def test_a_failed_repeat_leaves_the_candidate_as_it_is(store: Store, problem: Problem) -> None:
    def fail(kind: str, payload: Mapping[str, Any]) -> Mapping[str, Any]:
        raise RuntimeError("out of memory")

    run = coordinator(store, problem, Pretending(again=fail))
    assert run.run() == "complete"
    assert {row.state for row in candidates_page(store, "study").rows} == {"complete"}
    assert run.progress.num_finished == len(WIDTHS)
    assert repeats(store) == {"remeasure": REMEASURE, "retrain": RETRAIN}, "a failed repeat counts towards the budget"


def test_companions_are_given_no_repeats(problem: Problem) -> None:
    assert problem.plan.confidence != ConfidencePlan()
    assert given_plan(problem.plan, "beside", [NETWORK]).confidence == ConfidencePlan()


def chosen(
    shares: Mapping[int, float],
    places: list[tuple[str, str]],
    seen: Mapping[tuple[int, str, str], int] | None = None,
    front: set[int] | None = None,
    ages_s: Mapping[tuple[int, str], float] | None = None,
) -> tuple[int, tuple[str, str]] | None:
    found = best(doubtful(shares, front or set(), Counter(seen or {}), places, ages_s or {}, 60.0))
    return found and (found.number, found.step)


def test_no_repeat_is_spent_without_doubt() -> None:
    assert chosen({0: 1.0, 1: 0.0}, [("remeasure", "local")]) is None
    assert chosen({0: 1.0, 1: 0.0}, [("retrain", "")], front={0}) is None
    shares = {0: 0.9, 1: 0.45, 2: 0.6}
    assert chosen(shares, [("retrain", "")]) == (1, ("retrain", ""))
    places = [("remeasure", "a"), ("remeasure", "b")]
    assert chosen(shares, places, {(1, "remeasure", "a"): 1}) == (1, ("remeasure", "b"))


def test_those_on_the_front_come_first_once_and_those_just_measured_wait() -> None:
    shares, places = {0: 0.9, 1: 0.45, 2: 0.6}, [("remeasure", "a")]
    assert chosen(shares, places, front={0, 2}) == (2, places[0])
    assert chosen(shares, places, {(2, "remeasure", "a"): 1}, front={0, 2}) == (0, places[0])
    assert chosen(shares, places, {(n, "remeasure", "a"): 1 for n in (0, 2)}, front={0, 2}) == (1, places[0])
    assert chosen(shares, places, front={0, 2}, ages_s={(2, "a"): 59.0, (0, "a"): 60.0}) == (0, places[0])
    assert chosen(shares, places, front={2}, ages_s={(2, "a"): 59.0}) == (1, places[0])
    certain = {0: 1.0, 1: 0.0}
    assert chosen(certain, places, front={0}) == (0, places[0])
    assert chosen(certain, places, {(0, "remeasure", "a"): 1}, front={0}) is None
    recent = {(number, "a"): 1.0 for number in shares}
    assert chosen(shares, places, ages_s=recent) is None
    assert chosen(shares, [*places, ("retrain", "")], ages_s=recent) == (1, ("retrain", ""))
    assert doubtful(shares, {2}, Counter(), places, recent, 60.0)[2] == Repeat(2, places[0], 0.6 * 0.4, True, 59.0)


def test_spread_over_seeds_is_not_underestimated() -> None:
    mean, low, high = over_seeds([0.8, 0.8], (0.78, 0.82))
    assert (mean, low, high) == pytest.approx((0.8, 0.78, 0.82))
    mean, low, high = over_seeds([0.7, 0.9], (0.8, 0.8))
    half = stats.t.ppf(0.975, 1) * (0.02 / 2) ** 0.5  # the interval from two seeds alone
    assert (mean, high - mean) == pytest.approx((0.8, half))
    spread = [0.79, 0.81, 0.8, 0.8]
    _, low, high = over_seeds(spread, (0.8 - Z * 0.01, 0.8 + Z * 0.01))
    assert Z * 0.01 < (high - low) / 2 < 1.2 * Z * 0.01
