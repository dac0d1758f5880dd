"""Stored targets, and studies whose target's device is unreachable; the workers only pretend."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import func, select
from sqlalchemy.orm import Session
from typer.testing import CliRunner

import trials.cli.commands.targets
import trials.targets.stored
from nas.errors import PlaceError, PlanError, StudyError, UnknownNameError, UnreachableError
from nas.latency.protocol.canary import Health
from nas.latency.targets import Target, TargetSpec
from tests.unit.trials.pretending import CANDIDATE_MS, Pretending, latency
from trials.cli.console import app
from trials.launch.studies import resume, search
from trials.plans.loading import load_plan
from trials.plans.plan import Plan, make_plan
from trials.plans.pools import pools
from trials.plans.problem import open_problem, target_specs
from trials.store.models import Measurement
from trials.store.read.rows import study_row, target_rows
from trials.store.read.studies import list_studies
from trials.store.store import Store
from trials.store.write.targets import add_target
from trials.targets.stored import names_targets, remove, with_stored_targets

REACH = {"address": "https://pi:8765", "token_file": "/secret/token", "tls_ca": "/secret/pi.pem"}
PI = TargetSpec("pi", threads=2, **REACH)


class Missing(Pretending):
    """A device that is unreachable for the first ``away`` measurements."""

    away = 0

    def _result(self, kind: str, payload: Mapping[str, Any]) -> Mapping[str, Any]:
        if kind == "gate" and Missing.away > 0:
            Missing.away -= 1
            raise UnreachableError("target 'pi' does not answer at https://pi:8765: gone.")
        return super()._result(kind, payload)


@pytest.fixture
def store(tmp_path: Path) -> Store:
    store = Store(f"sqlite:///{tmp_path / 'nas.db'}")
    for name, spec in {"pi": PI, "local": TargetSpec("local")}.items():
        store.write(add_target, name, {"spec": spec.to_json(), "description": {}, "references": {}}, {})
    return store


def plan(**keys: Any) -> Plan:
    data = {
        "task": {"name": "digits", "image_size": 8},
        "space": {"name": "plain_convnet"},
        "strategy": {"name": "random"},
        "measure": {"audit": 0.0},
        "executor": "tests.unit.trials.targets.test_stored:Missing",
        "targets": [{"name": "pi"}],
        "budget": {"trials": 2},
        **keys,
    }
    return make_plan(data)


def test_a_name_alone_is_what_is_stored_under_it(store: Store) -> None:
    found = with_stored_targets(plan(targets=[{"name": "pi"}, {"name": "new"}]), store)
    assert target_specs(found) == {"pi": PI, "new": TargetSpec("new")}
    assert "secret" in found.to_json()["targets"][0]["token_file"]
    assert names_targets(plan())
    said = plan(targets=[{"name": "pi", "threads": 1}])
    assert not names_targets(said)
    assert with_stored_targets(said, store).targets == said.targets


def test_a_device_may_move_but_not_change(store: Store) -> None:
    moved = {"name": "pi", "threads": 2, "address": "https://10.0.0.9:8765", "token_file": "/other"}
    assert search(plan(targets=[moved]), storage=store.url) == ["study"]
    with pytest.raises(PlanError, match="give it another name"):
        search(plan(name="b", targets=[{**moved, "threads": 1}]), storage=store.url)
    with pytest.raises(PlanError, match="give it another name"):
        search(plan(name="c", targets=[{"name": "pi", "threads": 2}]), storage=store.url)


def test_a_study_outlives_a_device_that_is_away_for_a_while(store: Store) -> None:
    Missing.away = 2
    search(plan(), storage=store.url)
    (row,) = list_studies(store)
    assert (row.state, dict(row.counts)) == ("complete", {"complete": 2})
    with Session(store.engine) as session:
        assert session.scalar(select(func.count(Measurement.id))) == 2


def test_a_study_is_left_for_later_when_the_device_stays_away(store: Store) -> None:
    Missing.away = 3
    with pytest.raises(PlaceError, match=r"'pi' does not answer at https://pi:8765.*nas resume study"):
        search(plan(faults={"patience_minutes": 0}), storage=store.url)
    Missing.away = 0
    assert store.read(study_row, "study").state == "interrupted"
    assert "pi" in (store.read(study_row, "study").error or "")
    resume(store.url, "study")
    (row,) = list_studies(store)
    assert (row.state, dict(row.counts)) == ("complete", {"complete": 2})
    assert row.best["latency_ms"] == latency(CANDIDATE_MS)["latency_ms"]


def test_targets_are_listed_and_those_without_measurements_removed(store: Store) -> None:
    Missing.away = 0
    search(plan(), storage=store.url)
    assert [(row.name, row.measurements) for row in store.read(target_rows)] == [("local", 0), ("pi", 2)]
    with pytest.raises(StudyError, match="target 'pi' has 2 measurements"):
        remove(store, "pi")
    remove(store, "local")
    assert [row.name for row in store.read(target_rows)] == ["pi"]
    with pytest.raises(UnknownNameError, match="did you mean 'pi'"):
        remove(store, "pie")


def test_a_device_elsewhere_leaves_all_cores_to_training() -> None:
    away, here = ([{"name": "pi", **REACH, "address": f"https://{host}:1"}] for host in ("pi", "127.0.0.1"))
    train, measuring = pools(plan(targets=away), local=True)
    assert train.cores == measuring.cores
    assert set(pools(plan(targets=here), local=True)[0].cores) <= set(train.cores)
    assert pools(plan(targets=away), local=False)[1].resources == {}
    assert pools(plan(), local=False)[1].resources == {"target:pi": 0.01}


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({"address": "pi:8765", "token_file": "t"}, "https://host:port"),
        ({"address": "https://pi", "token_file": "t"}, "https://host:port"),
        ({"address": "https://user:word@pi:1", "token_file": "t"}, "https://host:port"),
        ({"address": "https://pi:99999", "token_file": "t"}, "https://host:port"),
        ({"address": "https://pi:8765"}, "needs a token"),
        ({"address": "http://pi:8765", "token_file": "t", "tls_ca": "c"}, "tls_ca needs an https"),
        ({"token_file": "t"}, "no address"),
    ],
)
def test_what_does_not_fit_together_is_refused_before_anything_runs(keys: dict[str, Any], message: str) -> None:
    with pytest.raises(PlanError, match=message):
        open_problem(plan(targets=[{"name": "pi", **keys}]))


def test_files_of_a_target_are_relative_to_the_plan(tmp_path: Path) -> None:
    path = tmp_path / "plan.yaml"
    path.write_text(
        "task: {name: digits}\nspace: {name: plain_convnet}\n"
        "targets: [{name: pi, address: 'https://pi:1', token_file: pi.token, tls_ca: /etc/pi.pem}]\n"
    )
    (target,) = load_plan(path).targets
    assert (target.token_file, target.tls_ca) == (str(tmp_path / "pi.token"), "/etc/pi.pem")


class Looking:
    """Measures a target whose canary is slower by the given factor, in this runtime, whatever it is asked."""

    def __init__(self, drift: float, version: str) -> None:
        self._drift, self._version = drift, version

    def __enter__(self) -> Looking:
        return self

    def __exit__(self, *error: object) -> None:
        pass

    def health(self, target: Target, limit: float) -> Health:
        state = {"load": 0.5, "others": 0.3, "processes": ["sh (process 7)"], "clock_mhz": 2400.0, "governor": None}
        return Health("r5", self._drift, 0.0, ("others keep core 0 busy",), state)

    def calibrate(self) -> Target:
        return Target(TargetSpec("box"), {"r1": 1.1, "r5": 2.0}, {"processor": "x", "runtime_version": self._version})


@pytest.mark.parametrize(
    ("drift", "version", "problem"),
    [(0.05, "1", ""), (0.3, "1", "it is 30% slower than when it was calibrated"), (0.0, "2", "runtime_version was 1")],
)
def test_a_check_tells_how_a_target_is_and_fails_where_it_is_not_fit(
    store: Store, monkeypatch: pytest.MonkeyPatch, drift: float, version: str, problem: str
) -> None:
    known = Target(TargetSpec("box"), {"r1": 1.0, "r5": 2.0}, {"processor": "x", "runtime_version": "1"})
    store.write(add_target, "box", known.to_json(), dict(known.references))
    monkeypatch.setattr(trials.targets.stored, "open_measurer", lambda spec: Looking(drift, version))
    check = ["targets", "check", "box", "--storage", store.url]
    shown, printed = (CliRunner().invoke(app, [*check, *extra]) for extra in ([], ["--json"]))
    assert shown.exit_code == printed.exit_code == bool(problem)
    found = json.loads(printed.output)
    assert (found["fit"], found["canary"], found["ratio"]) == (not problem, 1 + drift, pytest.approx(1.05))
    assert [item for item in found["problems"] if problem not in item] == []
    assert (found["load"], found["processes"], found["clock_mhz"]) == (0.5, ["sh (process 7)"], 2400.0)
    monkeypatch.setattr(trials.cli.commands.targets, "print_rows", lambda rows, as_json: told.extend(rows))
    told: list[dict[str, Any]] = []
    CliRunner().invoke(app, check)
    rows = {row[""]: row[" "] for row in told}
    assert rows["processes"] == "sh (process 7)"
    assert rows.get("problems", "").startswith(problem)
    assert "governor" not in rows, "values that the target does not report must be left out"
