"""Plans that `nas init` writes: every combination of answers gives a valid plan, and hostile answers stay text."""

from __future__ import annotations

from collections import ChainMap
from itertools import product
from pathlib import Path
from typing import Any

import pytest

from nas.errors import NasError
from nas.latency.runtimes import RUNTIMES
from nas.quantization.precision import BITS
from nas.sparsity import PATTERNS
from nas.tasks import TASKS
from search_spaces import SPACES
from trials.plans.interview.questions import questions, value_of
from trials.plans.interview.writing import plan_data, plan_text, study_name, write_plan
from trials.plans.loading import load_plan, plan_in
from trials.plans.paths import make_relative

ANSWERS: dict[str, Any] = {
    **{"name": "mine", "code": [], "task": "digits", "image_size": 16, "network": None, "space": "plain_convnet"},
    **{"runtime": "onnxruntime", "threads": 1, "precisions": ["fp32"], "sparsity": [], "densities": None},
    **{"limit": {}, "trials": 4},
}
HOSTILE = [
    "a: b",
    "'",
    '"',
    "#x",
    "- y",
    "{z}",
    "&a",
    "*a",
    "!!python",
    "~",
    "~root",
    "%",
    "ü\U0001f600",
    "tab\t",
]
HOSTILE += ["a\nb: c", "null", "1e3", " ends with a blank ", "\u2028", "\x07", "..."]


def read(**given: str) -> dict[str, Any]:
    answers: dict[str, Any] = {"name": "mine", "code": []}
    for question in questions():
        answers[question.key] = value_of(question, given.get(question.key), answers)
    return answers


def test_every_combination_is_a_plan(tmp_path: Path) -> None:
    path = tmp_path / "plan.yaml"
    spaces = [{"space": name} for name in SPACES.names()] + [{"network": "a:b"}, {"network": "resnet18"}]
    sparsity = [{"sparsity": [], "densities": None}, {"sparsity": PATTERNS.names(), "densities": [0.5, 1.0]}]
    precisions = [{"precisions": options} for options in (list(BITS), ["int8"])]
    bounds = [{}, {"latency_ms": {"max": 8.0}}, {"latency_ms": {"max": {"relative_to": "median", "factor": 0.5}}}]
    limits = [{"limit": limit, "threads": 2, "kernels": [3, 7]} for limit in bounds]
    others = [{"task": name} for name in TASKS.names()] + [{"runtime": name} for name in RUNTIMES.names()]
    for parts in (*product(spaces, sparsity, precisions, limits), *product(others, sparsity)):
        answers = dict(ChainMap(*parts, ANSWERS))
        plan = plan_in(plan_text(plan_data(answers)), path)
        assert (plan.task.name, plan.targets[0].runtime.name) == (answers["task"], answers["runtime"])
        assert [policy.name for policy in plan.policies] == ["sparsity"] * bool(answers["sparsity"]) + ["precision"]
        assert plan.limits.keys() == answers["limit"].keys()


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_names_of_folders(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / name).mkdir(exist_ok=True)
    (tmp_path / "plans").mkdir(exist_ok=True)
    monkeypatch.chdir(tmp_path)
    for path in (tmp_path / "plans" / "plan.yaml", tmp_path / "plan.yaml"):
        data = plan_data({**ANSWERS, "task": "cifar10", "data": str(tmp_path / name)})
        make_relative(data, path.parent)
        assert not Path(data["task"]["path"]).is_absolute()
        path.write_text(plan_text(data), encoding="utf-8")
        assert load_plan(path).task.spec()["path"] == str(tmp_path / name)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"task": "digts"}, "Known: cifar10"),
        ({"task": "image_folder", "data": "none"}, "no folder|no images"),
        ({"task": "image_folder", "data": "\0"}, "not a valid path"),
        ({"task": ""}, "task is empty"),
        ({"data": "photos"}, "no parameter 'path'"),
        ({"image_size": "4"}, "image_size"),
        ({"network": "rsnet18"}, "did you mean"),
        ({"network": "nowhere:make"}, "no module 'nowhere'"),
        ({"network": "resnet18", "space": "plain_convnet"}, "give only one"),
        ({"space": "module"}, "--network"),
        ({"space": "plain"}, "known: large_kernel"),
        ({"kernels": "3,7"}, "no parameter 'kernels'"),
        ({"space": "large_kernel", "kernels": "4"}, "distinct odd numbers"),
        ({"space": "large_kernel", "kernels": "x"}, "'x' is not a whole number"),
        ({"runtime": "tensorrt"}, "known: command"),
        ({"runtime": "torch", "precisions": "int8"}, "runtime 'torch' does not support int8"),
        ({"precisions": "int9"}, "allowed: int4, int8, fp16, fp32"),
        ({"precisions": "int8,,fp32"}, "commas"),
        ({"sparsity": "nm_9"}, "Known: block_2x1"),
        ({"densities": "0.5"}, "--sparsity"),
        ({"sparsity": "channels", "densities": "0"}, "above 0"),
        ({"sparsity": "channels", "densities": "nan"}, "above 0"),
        ({"limit": "latency_ms=8,latency_ms=9"}, "two limits"),
        ({"limit": "latency_ms=0.5xmean"}, "median or original"),
        ({"limit": "fast"}, "metric=number"),
        ({"limit": "-1"}, "above 0"),
        ({"limit": "size_bytes=0"}, "above 0"),
        ({"limit": "latency_ms=0xmedian"}, "above 0"),
        ({"trials": "0"}, "from 1"),
        ({"threads": "9" * 5000}, "whole number"),
    ],
)
def test_answers_that_are_none(given: dict[str, str], message: str) -> None:
    with pytest.raises(NasError, match=message) as caught:
        read(**given)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 1000


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"limit": "latency=8"}, "no metric 'latency'"),
        ({"limit": "a: b\n=8"}, "no metric"),
        ({"limit": "latency_ms=nan"}, "not a finite number"),
        ({"limit": "latency_ms=0.5xoriginal"}, "relative to the original"),
        ({"threads": "4000"}, "core"),
    ],
)
def test_answers_that_do_not_fit_together(given: dict[str, str], message: str, tmp_path: Path) -> None:
    with pytest.raises(NasError, match=message):
        write_plan(read(**given), tmp_path / "plan.yaml")


def test_defaults_fit_the_runtime() -> None:
    assert read()["precisions"] == ["int8", "fp32"]
    assert read(runtime="torch")["precisions"] == ["fp32"]
    assert read(sparsity="channels")["densities"] == [0.25, 0.5, 1.0]
    assert read(runtime="torch,compile=false")["runtime"] == {"name": "torch", "compile": False}


def test_a_file_of_any_name_gives_a_study_a_name() -> None:
    names = {
        "my plan.yaml": "my_plan",
        "-x.yaml": "x",
        "\U0001f600.yaml": "_",
        "...yaml": "study",
        "a" * 250: "a" * 200,
    }
    assert {file: study_name(Path(file)) for file in names} == names
