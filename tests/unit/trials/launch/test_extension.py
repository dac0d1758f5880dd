"""Extending finished and interrupted studies; the workers only pretend."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from nas.errors import PlanError, StudyError
from nas.latency.targets import TargetSpec
from tests.unit.trials.coordinator.test_twins import NETWORK
from tests.unit.trials.pretending import Pretending, latency
from trials.launch import studies
from trials.plans.plan import make_plan
from trials.store.read.history import stored_suggestions
from trials.store.read.rows import study_row
from trials.store.store import Store
from trials.store.write.targets import add_target

PLAN: dict[str, Any] = {
    "task": {"name": "digits", "image_size": 8},
    "space": {"name": "plain_convnet"},
    "strategy": {"name": "random"},
    "measure": {"audit": 0.0},
    "budget": {"trials": 3},
    "executor": "local",
    "artifacts": {"retention": "all"},
}


def again(kind: str, payload: Mapping[str, Any]) -> Mapping[str, Any]:
    pooled = {"latency_ms": 2.0, "low_ms": 1.9, "high_ms": 2.1, "percentiles": {}}
    return {"structure_hash": "s", "latency": latency(2.0), "pooled": pooled}


@pytest.fixture
def workers(monkeypatch: pytest.MonkeyPatch) -> Pretending:
    executor = Pretending(again=again)

    @contextmanager
    def opened(plan: Any, address: str | None = None) -> Iterator[Pretending]:
        yield executor

    monkeypatch.setattr(studies, "open_executor", opened)
    return executor


@pytest.fixture
def url(tmp_path: Path) -> str:
    url = f"sqlite:///{tmp_path / 'nas.db'}"
    store = Store(url)
    store.write(add_target, "local", {"spec": TargetSpec("local").to_json()}, {})
    store.close()
    return url


def search(url: str, **keys: Any) -> Store:
    studies.search(make_plan(PLAN | keys), storage=url)
    return Store(url)


def states(store: Store) -> list[str]:
    return [
        item.state for item in store.read(stored_suggestions, store.read(study_row, "study").id) if not item.duplicate
    ]


def test_a_complete_study_gets_exactly_as_many_more_trials(url: str, workers: Pretending) -> None:
    store = search(url)
    before = store.read(stored_suggestions, store.read(study_row, "study").id)
    studies.extend(url, "study", ["budget.trials=+2"])
    row, after = store.read(study_row, "study"), store.read(stored_suggestions, store.read(study_row, "study").id)
    assert row.state == "complete"
    assert states(store) == ["complete"] * 5
    assert after[: len(before)] == before
    assert [kind for kind, _ in workers.ran].count("train") == 5
    (was,) = row.history or []
    assert (was["plan"]["budget"]["trials"], row.plan["budget"]["trials"]) == (3, 5)
    studies.extend(url, "study", ["budget.trials=6"])
    assert states(store) == ["complete"] * 6
    assert len(store.read(study_row, "study").history or []) == 2


def test_a_complete_study_points_to_extend_and_not_in_a_circle(url: str, workers: Pretending) -> None:
    search(url)
    with pytest.raises(StudyError, match=r"nas extend study budget\.trials=\+10"):
        studies.resume(url, "study")


def test_repeats_are_added(url: str, workers: Pretending) -> None:
    search(url)
    studies.extend(url, "study", ["confidence.remeasure=2", "confidence.revisit_s=0"])
    assert [kind for kind, _ in workers.ran].count("remeasure") == 2
    studies.extend(url, "study", ["confidence.remeasure=+1"])
    assert [kind for kind, _ in workers.ran].count("remeasure") == 3


def test_a_tighter_limit_judges_what_is_stored(url: str, workers: Pretending) -> None:
    store = search(url)
    studies.extend(url, "study", ["limits.latency_ms.max=1.0", "budget.trials=4"])
    assert states(store) == ["infeasible"] * 4
    assert store.read(study_row, "study").limits == {"latency_ms": {"min": None, "max": 1.0}}


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        (["limits.latency_ms.max=9.0"], "tighter, but not looser"),
        (["limits.latency_ms=null"], "limits.latency_ms"),
        (["limits={}"], "limits can't be changed"),
        (["limits.latency_ms.max={relative_to: median, factor: 0.5}"], "give a number"),
        (["limits.latncy_ms.max=1.0"], "did you mean 'latency_ms'"),
        (["estimator.epochs=9"], "estimator.epochs can't be changed"),
        (["seed=1"], "seed can't be changed"),
        (["budget.trials=2"], "already has 3 trials"),
        (["budget.trials=+0"], "do not change the plan"),
        (["budget.wall_minutes=+10"], "not a number to add to"),
        (["budget.wall_minutes=0.000001"], "minutes and used up its"),
        (["budget.suggestions=3", "budget.trials=4"], "raise suggestions to at least 4"),
        (["budget.trials=+x"], "budget.trials"),
        (["budget.measurments=+1"], "unknown key"),
        (["budget.measurements=+1"], "is None, which is not a number to add to"),
    ],
)
def test_what_is_not_sound_is_refused_and_changes_nothing(
    changes: list[str], says: str, url: str, workers: Pretending
) -> None:
    store = search(url, limits={"latency_ms": {"max": 5.0}})
    before = store.read(study_row, "study")
    with pytest.raises((PlanError, StudyError), match=says):
        studies.extend(url, "study", changes)
    after = store.read(study_row, "study")
    assert (after.plan, after.limits, after.state, after.history) == (before.plan, before.limits, "complete", None)


def test_a_space_without_more_networks_says_so_at_once(url: str, workers: Pretending) -> None:
    store = search(url, strategy={"name": "given", "choices": [NETWORK]})
    assert store.read(study_row, "study").state == "exhausted"
    with pytest.raises(StudyError, match="all 1 networks of its space"):
        studies.extend(url, "study", ["budget.trials=+5"])


def test_an_extension_whose_first_job_kills_the_process_is_resumed(
    url: str, workers: Pretending, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = search(url)
    with monkeypatch.context() as patch:
        patch.setattr(workers, "submit", _interrupt)
        with pytest.raises(KeyboardInterrupt):
            studies.extend(url, "study", ["budget.trials=+1"])
    assert store.read(study_row, "study").state == "interrupted"
    studies.resume(url, "study")
    assert states(store) == ["complete"] * 4


def _interrupt(job: object) -> None:
    raise KeyboardInterrupt
