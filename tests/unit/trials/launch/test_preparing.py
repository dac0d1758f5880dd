"""A study while it is prepared; the workers only pretend."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from nas.errors import JobError, PlanError
from nas.latency.protocol.canary import Health
from nas.latency.targets import TargetSpec
from tests.unit.trials.launch.test_extension import PLAN
from tests.unit.trials.pretending import Pretending, timed
from trials.cli.commands import inspection  # noqa: F401  (registers its commands)
from trials.cli.console import app
from trials.coordinator.dispatch import duration
from trials.launch import studies
from trials.plans.plan import make_plan
from trials.store.read.rows import study_row
from trials.store.read.studies import list_studies
from trials.store.store import Store
from trials.store.write.leases import is_held
from trials.store.write.requests import Request, add_request

LIMITED = PLAN | {"limits": {"latency_ms": {"max": {"relative_to": "median", "factor": 2.0}}}}


class Preparing(Pretending):
    """Workers that can also calibrate; ``seen`` is called when a probe measures."""

    def __init__(self, seen: Callable[[], None] = lambda: None) -> None:
        super().__init__()
        self.seen = seen
        #: The metrics that the target says it can measure; None if it says nothing, as an old agent.
        self.readable: list[str] | None = None

    def _result(self, kind: str, payload: Mapping[str, Any]) -> Mapping[str, Any]:
        if kind == "calibrate":
            return {"target": {"spec": TargetSpec("local").to_json(), "references": {"r5": 1.0}, "description": {}}}
        if kind == "canary" and self.readable is not None:
            return {"health": Health("r5", 0.0, 0.0, (), {"runtime_version": "1", "readable": self.readable}).to_json()}
        if kind == "gate" and payload["screen"]:
            self.seen()
            return timed(2.0)
        return super()._result(kind, payload)


@pytest.fixture
def url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path / 'nas.db'}"


@pytest.fixture
def workers(monkeypatch: pytest.MonkeyPatch) -> Preparing:
    executor = Preparing()

    @contextmanager
    def opened(plan: Any, address: str | None = None) -> Iterator[Preparing]:
        yield executor

    monkeypatch.setattr(studies, "open_executor", opened)
    return executor


def nas(*arguments: str) -> str:
    return CliRunner().invoke(app, list(arguments), catch_exceptions=False).output


def test_a_study_is_there_while_it_is_prepared(url: str, workers: Preparing) -> None:
    seen: list[tuple[str, str | None, bool]] = []
    shown: list[str] = []

    def look() -> None:
        (row,) = list_studies(Store(url))
        seen.append((row.state, row.phase, Store(url).read(is_held, row.id)))
        if not shown:
            shown.extend(nas(*verb, "--storage", url) for verb in (["status", "study"], ["list"], ["show", "study"]))

    workers.seen = look
    phases: list[str] = []
    studies.search(make_plan(LIMITED), storage=url, on_phase=lambda study, phase: phases.append(phase))
    assert {state for state, _, _ in seen} == {"preparing"}
    assert all(held for _, _, held in seen)
    assert seen[3][1] == "probing limits: 3 of 16 measurements"
    assert all("preparing" in text and "probing limits: 0 of 16" in text for text in shown)
    assert list(dict.fromkeys(phase.partition(":")[0] for phase in phases)) == [
        "starting workers",
        "calibrating target 'local'",
        "probing limits",
        "reading the data",
    ]
    row = Store(url).read(study_row, "study")
    assert (row.state, row.phase, row.is_prepared) == ("complete", None, True)
    assert row.limits == {"latency_ms": {"min": None, "max": 4.0}}
    assert row.environment["data"]


@pytest.mark.parametrize("error", [RuntimeError("the gate broke"), KeyboardInterrupt()])
def test_what_fails_in_preparing_leaves_a_study_that_can_be_resumed(
    error: BaseException, url: str, workers: Preparing
) -> None:
    def fail() -> None:
        raise error

    workers.seen = fail
    with pytest.raises((JobError, KeyboardInterrupt)):
        studies.search(make_plan(LIMITED), storage=url)
    row = Store(url).read(study_row, "study")
    assert (row.state, row.is_prepared, row.lease_owner) == ("interrupted", False, None)
    assert (row.error or "").startswith("while probing limits: 0 of 16 measurements: ")
    workers.seen = lambda: None
    studies.resume(url, "study")
    row = Store(url).read(study_row, "study")
    assert (row.state, row.limits) == ("complete", {"latency_ms": {"min": None, "max": 4.0}})


def test_a_plan_that_proves_impossible_leaves_no_study(url: str, workers: Preparing) -> None:
    plan = make_plan(PLAN | {"limits": {"latency_ms": {"max": 0.1}}, "replicate_seeds": [1]})
    with pytest.raises(PlanError, match="can't be met"):
        studies.search(plan, storage=url)
    assert list_studies(Store(url)) == []
    studies.search(make_plan(PLAN), storage=url)


@pytest.mark.parametrize(
    ("readable", "metric", "message"),
    [
        (["load_ms"], "energy_mj", "target 'local' can't measure energy_mj: the energy counters"),
        (None, "load_ms", "target 'local' can't measure load_ms: its agent does not know this metric"),
        (None, "energy_mj", "target 'local' can't measure energy_mj: its agent does not know this metric"),
    ],
)
@pytest.mark.parametrize("part", ["objectives", "limits"])
def test_a_metric_that_the_target_can_not_tell_is_refused_before_anything_is_measured(
    readable: list[str] | None, metric: str, message: str, part: str, url: str, workers: Preparing
) -> None:
    workers.readable = readable
    named = {"objectives": {"accuracy": "maximize", metric: "minimize"}, "limits": {metric: {"max": 1.0}}}
    with pytest.raises(PlanError, match=message):
        studies.search(make_plan(PLAN | {part: named[part]}), storage=url)
    assert [kind for kind, _ in workers.ran] == ["calibrate"]
    assert list_studies(Store(url)) == []


def test_a_target_that_can_tell_the_metric_is_measured(url: str, workers: Preparing) -> None:
    workers.readable = ["load_ms", "energy_mj"]
    studies.search(make_plan(PLAN | {"limits": {"energy_mj": {"max": 1.0}}}), storage=url)
    assert Store(url).read(study_row, "study").limits == {"energy_mj": {"min": None, "max": 1.0}}


def test_a_study_whose_preparation_was_killed_says_so_and_is_resumed(url: str, workers: Preparing) -> None:
    class Killed(BaseException):
        pass

    with pytest.MonkeyPatch.context() as patch:
        # The killed process writes nothing any more.
        patch.setattr("trials.launch.preparing.Preparation.leave", lambda self, error: None)
        patch.setattr("trials.launch.preparing.owner", lambda: "elsewhere:1:1")
        patch.setattr("trials.launch.preparing.LEASE_S", 0.0)

        def die() -> None:
            raise Killed

        workers.seen = die
        with pytest.raises(Killed):
            studies.search(make_plan(LIMITED), storage=url)
    assert Store(url).read(study_row, "study").state == "preparing"
    shown = " ".join(nas("status", "study", "--storage", url).split())
    assert "which ended without releasing the study; continue with: nas resume study" in shown
    workers.seen = lambda: None
    studies.resume(url, "study")
    assert Store(url).read(study_row, "study").state == "complete"


@pytest.mark.parametrize(("request_", "state"), [("pause", "paused"), ("stop", "stopped")])
def test_a_study_is_ended_by_request_while_it_is_prepared(
    request_: Request, state: str, url: str, workers: Preparing
) -> None:
    def ask() -> None:
        store = Store(url)
        store.write(add_request, store.read(study_row, "study").id, request_)

    workers.seen = ask
    studies.search(make_plan(LIMITED), storage=url)
    row = Store(url).read(study_row, "study")
    assert (row.state, row.is_prepared, row.lease_owner, row.error, row.request) == (state, False, None, None, None)
    workers.seen = lambda: None
    studies.resume(url, "study")
    assert Store(url).read(study_row, "study").state == "complete"


@pytest.mark.parametrize(("seconds", "text"), [(0.0, "0 s"), (59.0, "59 s"), (720.0, "12 min"), (12600.0, "3.5 h")])
def test_times_are_said_in_the_unit_that_fits(seconds: float, text: str) -> None:
    assert duration(seconds) == text
