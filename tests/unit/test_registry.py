from __future__ import annotations

import abc
import subprocess
import sys
from pathlib import Path

import pytest

from nas.errors import MissingPackageError, PlanError, UnknownNameError
from nas.registry import Registry, make, nearest

SHAPES: Registry[object] = Registry("shapes", {"path": "pathlib:Path", "absent": "no_such_package.x:X"})


def test_a_name_is_imported_on_first_use() -> None:
    assert SHAPES.get("path") is Path


def test_a_location_stands_for_itself() -> None:
    assert SHAPES.get("collections:OrderedDict").__name__ == "OrderedDict"  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("pth", r"unknown shape 'pth'; did you mean 'path'\? Known: absent, path.*module:attribute"),
        ("pathlib:Pth", r"no 'Pth'; did you mean 'Path'\? If a file of yours"),
        ("my_missing_module:Space", r"no module 'my_missing_module' on the import path.*`code:`"),
        ("absent", r"no module 'no_such_package'"),
    ],
)
def test_a_name_that_is_not_there_says_what_to_do(name: str, words: str) -> None:
    with pytest.raises(UnknownNameError, match=words):
        SHAPES.get(name)


def test_a_module_that_needs_a_missing_package_names_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "needs_more.py").write_text("import no_such_package\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    with pytest.raises(MissingPackageError, match=r"needs the package 'no_such_package'.*pip install no_such_package"):
        SHAPES.get("needs_more:Thing")


def test_a_module_that_raises_is_not_hidden(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "raising.py").write_text("raise ValueError('mine')\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    with pytest.raises(ValueError, match="mine"):
        SHAPES.get("raising:Thing")


def test_an_added_name_counts_like_any_other() -> None:
    registry: Registry[object] = Registry("shapes", {"path": "pathlib:Path"})
    registry.add("ordered", "collections:OrderedDict")
    registry.add("ordered", "collections:OrderedDict")
    assert registry.names() == ["ordered", "path"]
    with pytest.raises(PlanError, match="'path' stands for pathlib:Path already"):
        registry.add("path", "pathlib:PurePath")
    assert registry.get("path") is Path


def test_packages_that_are_installed_bring_names(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    info = tmp_path / "more-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: more\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[measured_nas.shapes]\npure = pathlib:PurePath\npath = os:getcwd\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    assert SHAPES.names() == ["absent", "path", "pure"]
    assert SHAPES.get("path") is Path, "our own names win"


def test_nearest_says_nothing_about_strangers() -> None:
    assert nearest("latency", ["latency_ms"]) == "; did you mean 'latency_ms'?"
    assert nearest("latency", ["latency_ms"], "known: all") == "; did you mean 'latency_ms'? Known: all"
    assert nearest("zebra", ["latency_ms"]) == ""
    assert nearest("zebra", ["latency_ms"], "known: all") == "; known: all"


@pytest.mark.parametrize(
    "module",
    [
        "nas.errors",
        "nas.estimators",
        "nas.export",
        "nas.latency.runtimes",
        "nas.ops",
        "nas.strategies",
        "nas.tasks",
        "trials.executors",
    ],
)
def test_a_contract_imports_nothing_heavy(module: str) -> None:
    heavy = "{'torch', 'timm', 'optuna', 'ray', 'sqlalchemy', 'streamlit', 'onnxruntime'}"
    code = f"import sys, {module}; found = {heavy} & sys.modules.keys(); assert not found, found"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


class Shape(abc.ABC):
    @abc.abstractmethod
    def area(self) -> float: ...


class Square(Shape):
    def area(self) -> float:
        return 1.0


KINDS: Registry[type[Shape]] = Registry("shapes", {"square": f"{__name__}:Square"}, subclasses_of=Shape)


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("os:system", "an object of type builtin_function_or_method, not a subclass of .*Shape"),
        ("pathlib:Path", "the class pathlib.Path, not a subclass"),
        ("os:sep", "an object of type str, not a subclass"),
        (f"{__name__}:Shape", "is abstract: a subclass must define area"),
        ("os:", "write module:attribute"),
        (":system", "write module:attribute"),
        ("..os:system", "write module:attribute"),
        ("os:path.join", "write module:attribute"),
        ("os path:x", "write module:attribute"),
    ],
)
def test_a_name_of_another_kind_is_refused_and_not_called(name: str, words: str) -> None:
    with pytest.raises(PlanError, match=words):
        KINDS.get(name)


def test_a_name_of_the_right_kind_is_found() -> None:
    assert KINDS.get("square") is KINDS.get(f"{__name__}:Square") is Square


def test_a_name_that_stands_for_an_object_is_checked_too() -> None:
    objects: Registry[Path] = Registry("paths", {"here": "here:HERE"}, instances_of=Path)
    with pytest.raises(PlanError, match=r"an object of type builtin_function_or_method, not an object of .*Path"):
        objects.get("os:system")


@pytest.mark.parametrize("name", [5, None, ["os:system"]])
def test_a_name_that_is_no_text_is_refused(name: object) -> None:
    with pytest.raises(PlanError, match="is not a name; known: square"):
        KINDS.get(name)  # type: ignore[arg-type]


@pytest.mark.parametrize("text", ["raise ValueError('mine')", "raise SystemExit(3)", "def broken(:", "1 / 0"])
def test_a_module_that_can_not_be_imported_names_the_line(
    text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / f"bad_{abs(hash(text))}.py").write_text(f"\n{text}\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    with pytest.raises(PlanError, match=r"importing bad_\d+ failed: .*bad_\d+\.py, line 2\)"):
        SHAPES.get(f"bad_{abs(hash(text))}:Thing")


class Settings:
    def __init__(
        self,
        rate: float = 0.1,
        count: int = 1,
        text: str | None = None,
        on: bool = False,
        any_of: int | list[int] = 1,
        many: list[int] | tuple[int, ...] = (),
        words: dict[str, int] | None = None,
    ) -> None:
        self.given = (rate, count, text, on, any_of, many, words)


@pytest.mark.parametrize(
    ("key", "value", "words"),
    [
        ("rate", True, "rate of 's' is True; it takes a number"),
        ("rate", "1e-3", "it takes a number; write 0.001"),
        ("rate", None, "it takes a number"),
        ("count", True, "it takes a whole number"),
        ("count", 1.5, "it takes a whole number"),
        ("count", [1], "it takes a whole number"),
        ("text", 5, "it takes null or text"),
        ("on", 1, "it takes true or false"),
        ("on", "no", "it takes true or false"),
    ],
)
def test_a_value_of_another_kind_is_refused(key: str, value: object, words: str) -> None:
    with pytest.raises(PlanError, match=words):
        make(Settings, {"name": "s", key: value}, "settings")


FITTING = {"rate": 1, "count": 2.0, "text": None, "on": True, "any_of": "x", "many": [2], "words": {"a": 1}}


@pytest.mark.parametrize(("key", "value"), FITTING.items())
def test_values_that_fit_or_are_not_known_are_passed_on(key: str, value: object) -> None:
    assert value in make(Settings, {"name": "s", key: value}, "settings").given
