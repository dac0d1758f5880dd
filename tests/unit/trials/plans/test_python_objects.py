"""Classes and functions in plans written in Python."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path

import pytest

from nas.errors import PlanError
from search_spaces.plain_convnet import PlainConvNet
from trials.plans.plan import Plan, make_plan
from trials.plans.python_objects import with_import_paths


def test_a_string_is_a_name_without_parameters() -> None:
    assert Plan(task="digits", space="plain_convnet") == make_plan(
        {"task": {"name": "digits"}, "space": {"name": "plain_convnet"}}
    )


def test_shipped_classes_need_no_folder() -> None:
    assert with_import_paths({"space": {"name": PlainConvNet, "preset": "small"}}) == {
        "space": {"name": "search_spaces.plain_convnet:PlainConvNet", "preset": "small"}
    }


@pytest.mark.parametrize(("module", "file"), [("own_space", "own_space.py"), ("pack.own", "pack/own.py")])
def test_the_folder_of_a_class_travels_with_the_plan(
    module: str, file: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / file).parent.mkdir(exist_ok=True)
    (tmp_path / file).write_text("class Space:\n    pass\ndef build():\n    pass\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    own = importlib.import_module(module)
    found = with_import_paths({"space": {"name": "module", "factory": own.build}, "policies": [{"name": own.Space}]})
    assert found["space"]["factory"] == f"{module}:build"
    assert found["policies"] == [{"name": f"{module}:Space"}]
    assert str(tmp_path) in found["code"]
    for name in (module, "pack"):
        sys.modules.pop(name, None)


def test_code_that_is_given_stays_first() -> None:
    assert with_import_paths({"space": "own:Space", "code": ["shared"]})["code"] == ["shared"]
    assert with_import_paths({"space": "own:Space"})["code"] == [str(Path.cwd())]
    assert "code" not in with_import_paths({"space": "plain_convnet", "root": "http://host:80/x"})


def test_a_class_of_the_running_script_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    class Space:
        pass

    with pytest.raises(PlanError, match=r"top level of a file, for example space\.py"):
        with_import_paths({"space": Space})
    monkeypatch.setattr(PlainConvNet, "__module__", "__main__")
    with pytest.raises(PlanError, match="PlainConvNet is defined in a notebook"):
        with_import_paths({"space": PlainConvNet})
