from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from nas.errors import PlanError, TaskError
from nas.tasks import TASKS
from search_spaces import SPACES
from trials.plans.loading import load_plan, with_absolute_paths
from trials.plans.plan import Plan, make_plan
from trials.plans.problem import open_problem

OWN_TASK = """
from nas.tasks.digits import Digits

class Paths(Digits):
    paths = ("left", "right:*.txt")

    def __init__(self, left: str = "", right: str = "", other: str = "") -> None:
        super().__init__()
"""


@pytest.fixture
def folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Path, Path]:
    """The folder of a plan, and another folder that is the current one."""
    plans, here = tmp_path / "plans", tmp_path / "here"
    for folder in (plans, here):
        folder.mkdir()
    monkeypatch.chdir(here)
    return plans, here


def load(folder: Path, text: str, overrides: list[str] = []) -> Plan:  # noqa: B006  (not changed)
    path = folder / "plan.yaml"
    path.write_text(text)
    return load_plan(path, overrides)


DIGITS = "task: {name: digits}\n"
PLAIN = "space: {name: plain_convnet}\n"


@pytest.mark.parametrize(
    ("text", "keys"),
    [
        ("task: {name: image_folder, path: x}\n" + PLAIN, ["task", "path"]),
        ("task: {name: cifar10, path: x}\n" + PLAIN, ["task", "path"]),
        ("task: {name: shapes, cache: x}\n" + PLAIN, ["task", "cache"]),
        (DIGITS + "space: {name: module, factory: 'a:b', weights: x}\n", ["space", "weights"]),
        (DIGITS + "space: {name: timm_model, weights: x}\n", ["space", "weights"]),
        (DIGITS + "space: {name: timm_family, weights: x}\n", ["space", "weights"]),
        (DIGITS + PLAIN + "references: [{name: timm_model, weights: x}]\n", ["references", 0, "weights"]),
        (DIGITS + PLAIN + "artifacts: {root: x}\n", ["artifacts", "root"]),
        (
            DIGITS + PLAIN + "targets: [{name: a, address: 'https://b:1', token_file: x}]\n",
            ["targets", 0, "token_file"],
        ),
        (DIGITS + PLAIN + "targets: [{name: a, address: 'https://b:1', tls_ca: x}]\n", ["targets", 0, "tls_ca"]),
    ],
)
def test_every_path_is_relative_to_the_plan(folders: tuple[Path, Path], text: str, keys: list[Any]) -> None:
    found: Any = load(folders[0], text).to_json()
    for key in keys:
        found = found[key]
    assert found == str(folders[0] / "x")


def test_a_program_of_a_runtime_is_a_path_if_it_is_a_file(folders: tuple[Path, Path]) -> None:
    text = DIGITS + PLAIN + "targets: [{name: a, runtime: {name: command, program: %s}}]\n"
    own = load(folders[0], text % "own.json").targets[0]
    assert own.runtime.spec()["program"] == str(folders[0] / "own.json")
    assert load(folders[0], text % "benchmark_app").targets[0].runtime.spec()["program"] == "benchmark_app"


def test_a_program_on_a_device_is_a_path_of_the_device(folders: tuple[Path, Path]) -> None:
    runtime = "{name: command, program: own.json}"
    text = DIGITS + PLAIN + f"targets: [{{name: a, address: 'https://b:1', token_file: t, runtime: {runtime}}}]\n"
    assert load(folders[0], text).targets[0].runtime.spec()["program"] == "own.json"


def test_a_typed_path_is_relative_to_the_current_folder(folders: tuple[Path, Path]) -> None:
    plans, here = folders
    text = "task: {name: image_folder, path: x}\n" + PLAIN
    assert load(plans, text, ["task.path=y"]).task.spec()["path"] == str(here / "y")
    assert load(plans, text, ["task={name: cifar10, path: ../y}"]).task.spec()["path"] == str(here.parent / "y")
    assert load(plans, text, ["task.image_size=32"]).task.spec()["path"] == str(plans / "x")


def test_home_absolute_paths_and_addresses(folders: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    plans, here = folders
    monkeypatch.setenv("HOME", str(here))
    text = "task: {name: image_folder, path: %s}\n" + PLAIN
    assert load(plans, text % "~/x").task.spec()["path"] == str(here / "x")
    assert load(plans, text % "/x/y").task.spec()["path"] == "/x/y"
    assert load(plans, DIGITS + PLAIN + "artifacts: {root: 's3://x/y'}\n").artifacts.root == "s3://x/y"


def test_an_empty_path_stays_empty(folders: tuple[Path, Path]) -> None:
    assert load(folders[0], "task: {name: shapes, cache: ''}\n" + PLAIN).task.spec()["cache"] == ""


def test_a_class_of_ones_own_declares_its_paths(folders: tuple[Path, Path]) -> None:
    (folders[0] / "task_with_paths.py").write_text(OWN_TASK)
    text = "task: {name: 'task_with_paths:Paths', left: a, right: %s, other: a}\n" + PLAIN
    found = load(folders[0], text % "b.txt").task.spec()
    assert found["left"] == str(folders[0] / "a")
    assert found["right"] == str(folders[0] / "b.txt")
    assert found["other"] == "a"
    assert load(folders[0], text % "none").task.spec()["right"] == "none"


@pytest.mark.parametrize("path", ["~nobody-of-that-name/x", '"a\\0b"'])
def test_what_can_be_no_path_is_refused(folders: tuple[Path, Path], path: str) -> None:
    with pytest.raises(PlanError, match="is not a valid path"):
        load(folders[0], f"task: {{name: image_folder, path: {path}}}\n" + PLAIN)


def test_a_missing_folder_is_named_as_it_was_tried(folders: tuple[Path, Path]) -> None:
    plan = load(folders[0], "task: {name: image_folder, path: x}\n" + PLAIN)
    with pytest.raises(TaskError, match=f"no folder {folders[0] / 'x'};"):
        open_problem(plan)


def test_a_missing_weights_file_is_named_as_it_was_tried(folders: tuple[Path, Path]) -> None:
    plan = load(folders[0], DIGITS + "space: {name: timm_model, weights: x.safetensors}\n")
    with pytest.raises(PlanError, match=f"no file {folders[0] / 'x.safetensors'};"):
        open_problem(plan)


def test_code_is_relative_to_the_plan_and_typed_code_to_the_current_folder(folders: tuple[Path, Path]) -> None:
    plans, here = folders
    for folder in (plans / "a", here / "b"):
        folder.mkdir()
    assert load(plans, DIGITS + PLAIN + "code: [a]\n").code == (str(plans), str(plans / "a"))
    assert load(plans, DIGITS + PLAIN, ["code=[b]"]).code == (str(plans), str(here / "b"))


def test_a_plan_made_in_python_is_relative_to_the_current_folder(folders: tuple[Path, Path]) -> None:
    plan = make_plan({"task": {"name": "image_folder", "path": "x"}, "space": {"name": "plain_convnet"}})
    assert with_absolute_paths(plan).task.spec()["path"] == str(folders[1] / "x")
    assert with_absolute_paths(plan).code == ()


def test_every_registered_path_is_declared() -> None:
    """A path parameter that is not declared would be relative to the current folder."""
    for registry in (TASKS, SPACES):
        for name in registry.names():
            cls: Any = registry.get(name)
            parameters = set(cls.__init__.__annotations__)
            assert parameters & {"path", "weights", "cache", "folder", "file"} == set(cls.paths), name
