from __future__ import annotations

from pathlib import Path

import pytest

from nas.errors import PlanError
from trials.plans.loading import load_plan
from trials.plans.plan import Relative, make_plan

MINIMAL = {"task": {"name": "digits"}, "space": {"name": "plain_convnet"}}


def write(folder: Path, text: str) -> Path:
    path = folder / "plan.yaml"
    path.write_text(text)
    return path


def test_everything_but_task_and_space_has_a_default() -> None:
    plan = make_plan(MINIMAL)
    assert plan.strategy.name == "pareto_bo"
    assert plan.targets[0].name == "local"
    for key in ("task", "space"):
        with pytest.raises(PlanError, match=f"{key}: missing"):
            make_plan({name: value for name, value in MINIMAL.items() if name != key})


def test_the_example_plan_means_what_it_says() -> None:
    plan = load_plan(Path(__file__).parents[4] / "examples" / "digits.yaml")
    assert plan.budget.trials == 32
    assert plan.limits["latency_ms"].max == Relative(relative_to="median", factor=1.0)
    assert make_plan(plan.to_json()) == plan


def test_overrides_descend_and_are_read_as_yaml(tmp_path: Path) -> None:
    path = write(tmp_path, "task: {name: digits}\nspace: {name: plain_convnet}\ntargets: [{name: a}]\n")
    plan = load_plan(path, ["budget.trials=8", "strategy.name=tpe", "targets.0.threads=2", "seed=5"])
    assert (plan.budget.trials, plan.strategy.name, plan.targets[0].threads, plan.seed) == (8, "tpe", 2, 5)


def test_an_override_of_a_name_drops_the_parameters_of_the_old_one(tmp_path: Path) -> None:
    text = "task: {name: digits}\nspace: {name: plain_convnet}\nstrategy: {name: nsga2, population_size: 9}\n"
    assert load_plan(write(tmp_path, text), ["strategy.name=tpe"]).strategy.spec() == {"name": "tpe"}


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("budgte.trials=8", "budgte: unknown key; did you mean 'budget'"),
        ("budget.trails=8", "budget.trails: unknown key; did you mean 'trials'"),
        ("limits.latency_ms.mx=3", "did you mean 'max'"),
        ("measure.precison=0.1", "did you mean 'precision'"),
        ("limits.latency_ms=0.5", r"limits\.latency_ms: got 0\.5; write limits\.latency_ms\.max=0\.5 .*\{max: 0\.5\}"),
        ("strategy.nam=tpe", "strategy.name: missing.*there is 'nam', did you mean 'name'"),
        ("version=2", "version: .*got 2"),
        ("budget.trials=0", "budget.trials: .*got 0"),
        ("seed=abc", "seed: .*'abc'"),
        ("objectives.accuracy=up", "objectives.accuracy: .*'up'"),
        ("targets=[]", "give at least one"),
        ("targets=[{name: a}, {name: a}]", "names repeat: a, a"),
        ("targets=[{name: a}, {name: b, batch: 8}]", "different batch sizes: 1, 8"),
        ("confidence.retrain=-1", "confidence.retrain: .*got -1"),
        ("limits={latency_ms: {}}", "needs max or min"),
        ("artifacts.retention=best", "artifacts.retention: .*allowed: all, front, none, got 'best'"),
        ("budget", "write key=value"),
        ("targets.7.name=x", "not an index"),
    ],
)
def test_bad_overrides_are_named_with_what_is_allowed(tmp_path: Path, override: str, message: str) -> None:
    path = write(tmp_path, "task: {name: digits}\nspace: {name: plain_convnet}\ntargets: [{name: a}]\n")
    with pytest.raises(PlanError, match=message):
        load_plan(path, [override])


def test_an_override_of_a_target_that_the_plan_does_not_list(tmp_path: Path) -> None:
    with pytest.raises(PlanError, match="has no list of targets"):
        load_plan(write(tmp_path, "task: {name: digits}\nspace: {name: plain_convnet}\n"), ["targets.0.threads=2"])


def test_every_problem_is_told_at_once() -> None:
    with pytest.raises(PlanError, match=r"(?s)seed.*version|version.*seed"):
        make_plan({**MINIMAL, "seed": -1, "version": 7})


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: [", "is not YAML"),
        ("- 1\n- 2\n", "holds a list"),
        ("", "holds a NoneType"),
        ("!!python/none x", "not YAML"),
    ],
)
def test_files_that_are_no_plans(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(PlanError, match=message):
        load_plan(write(tmp_path, text))


def test_a_folder_and_a_missing_file(tmp_path: Path) -> None:
    with pytest.raises(PlanError, match="is a folder"):
        load_plan(tmp_path)
    with pytest.raises(PlanError, match="does not exist; `nas init` writes one"):
        load_plan(tmp_path / "none.yaml")


def test_code_folders_become_absolute_with_the_plans_own_first(tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    path = write(tmp_path, "task: {name: digits}\nspace: {name: plain_convnet}\ncode: [mine]\n")
    assert load_plan(path).code == (str(tmp_path), str(tmp_path / "mine"))
    with pytest.raises(PlanError, match="is not a folder"):
        load_plan(path, ["code=[nowhere]"])
