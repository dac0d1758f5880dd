from __future__ import annotations

import sys
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from nas.errors import MissingPackageError
from nas.extras import is_installed, pip_install, require
from trials.executors import EXECUTORS
from trials.plans.machine import executor_remark
from trials.plans.plan import make_plan

MINIMAL = {"task": {"name": "digits"}, "space": {"name": "plain_convnet"}}
PROJECT = tomllib.loads((Path(__file__).parents[3] / "pyproject.toml").read_text())["project"]
OPTIONAL = ("cmake", "onnxscript", "openvino", "prometheus_client", "psycopg", "ray", "streamlit")


@pytest.fixture
def without_ray(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    monkeypatch.delitem(sys.modules, "trials.executors.ray_actors", raising=False)


@pytest.mark.parametrize("package", OPTIONAL)
def test_a_package_is_in_the_extra_that_is_named_for_it(package: str) -> None:
    extra = Requirement(pip_install(package).removeprefix("pip install ").strip("'"))
    (name,) = extra.extras
    assert extra.name == PROJECT["name"]
    assert package in {Requirement(item).name for item in PROJECT["optional-dependencies"][name]}
    assert package not in {Requirement(item).name for item in PROJECT["dependencies"]}


def test_a_package_that_is_here_is_not_complained_about() -> None:
    require("numpy", "this test")
    with pytest.raises(MissingPackageError, match=r"this test needs the package 'no_such'.*; pip install no_such$"):
        require("no_such", "this test")


def test_beside_an_agent_alone_the_package_itself_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "measured_nas", None)
    assert pip_install("openvino.properties") == "pip install openvino"


def test_a_folder_of_a_package_s_name_is_not_that_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "no_such").mkdir()
    monkeypatch.syspath_prepend(str(tmp_path))
    assert not is_installed("no_such")


@pytest.mark.usefixtures("without_ray")
def test_without_ray_a_plan_runs_on_this_machine_and_is_told_so() -> None:
    plan = make_plan(MINIMAL)
    assert plan.executor == "local"
    assert "measured-nas[ray]" in executor_remark(plan)
    assert not executor_remark(make_plan({**MINIMAL, "executor": "local"}))
    assert not executor_remark(make_plan(plan.to_json()))
    with pytest.raises(MissingPackageError, match=r"'ray_actors' needs.*pip install 'measured-nas\[ray\]'"):
        EXECUTORS.get("ray_actors")


def test_with_ray_a_plan_runs_on_actors_without_a_word() -> None:
    assert is_installed("ray")
    assert make_plan(MINIMAL).executor == "ray_actors"
    assert not executor_remark(make_plan(MINIMAL))
