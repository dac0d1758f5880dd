"""The documents agree with the code: every option, every name, every default, every link."""

from __future__ import annotations

import re
import runpy
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any, get_args

import pytest
import typer
import yaml
from pydantic import BaseModel

from trials.cli.commands import register_commands
from trials.cli.console import app
from trials.cli.verbs import GROUPS
from trials.plans.loading import load_plan
from trials.plans.plan import Named, Plan
from trials.store.models import Base

ROOT = Path(__file__).parents[2]
REFERENCE = ROOT / "docs" / "reference"
GENERATED = SimpleNamespace(**runpy.run_path(str(ROOT / "docs" / "site" / "names.py")))
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("examples/**/*.md")])


def rows(text: str) -> dict[str, str]:
    """First cell → second cell, for the rows of all tables whose first cell is code."""
    found = re.findall(r"^\| `([^`]+)` \| (.*?) \|", text, flags=re.MULTILINE)
    assert len({key for key, _ in found}) == len(found), "a key is documented twice"
    return dict(found)


def section(text: str, heading: str) -> str:
    """The text under a heading, up to the next heading of the same or a higher level."""
    level = heading.split()[0]
    found = re.search(rf"^{re.escape(heading)}$(.*?)(?=^#{{1,{len(level)}}} |\Z)", text, re.M | re.S)
    assert found, f"no heading {heading!r}"
    return found[1]


def default_of(cell: str) -> Any:
    """A default as documented: YAML in code."""
    code = re.fullmatch(r"`(.*)`", cell)
    assert code, f"a default must be written as code, not {cell!r}"
    return plain(yaml.safe_load(code[1]))


def plain(value: Any) -> Any:
    """Models as mappings without values of None; tuples as lists."""
    if isinstance(value, BaseModel):
        value = value.model_dump()
    if isinstance(value, Mapping):
        return {key: plain(item) for key, item in value.items() if item is not None}
    return [plain(item) for item in value] if isinstance(value, Sequence) and not isinstance(value, str) else value


def models_in(annotation: Any) -> list[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [model for argument in get_args(annotation) for model in models_in(argument)]


def plan_keys(model: type[BaseModel] = Plan, prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Every key of a plan in dotted form, with its default."""
    for name, field in model.model_fields.items():
        default = ... if field.is_required() else field.get_default(call_default_factory=True)
        yield prefix + name, default
        for inner in models_in(field.annotation):
            yield from plan_keys(inner, f"{prefix}{name}.")


def test_every_key_of_a_plan_is_documented_with_its_default() -> None:
    documented = rows((REFERENCE / "plan.md").read_text())
    keys = dict(plan_keys())
    assert documented.keys() == keys.keys()
    for key, default in keys.items():
        if default is ...:
            assert documented[key] == "required", key
        else:
            assert default_of(documented[key]) == plain(default), key


@pytest.mark.parametrize("page", GENERATED.PAGES, ids=lambda page: page.stem)
def test_pages_say_what_the_docstrings_of_registered_names_say(page: Path) -> None:
    assert page.read_text() == GENERATED.written(page), "run make docs"


def test_every_registry_has_its_part_of_the_page_of_names() -> None:
    files = [path for name in ("nas", "search_spaces", "trials") for path in (ROOT / name).rglob("*.py")]
    kinds = re.compile(r"^[A-Z]+: Registry\[.*\] = Registry\(\s*\"(\w+)\"", re.MULTILINE)
    found = {kind for path in files for kind in kinds.findall(path.read_text())}
    not_in_plans = {"protocols"}
    groups = re.findall(r"`(?:measured_nas)?\.(\w+)`", (ROOT / "docs" / "how-to" / "own-code.md").read_text())
    assert set(groups) >= found - not_in_plans
    assert {item.kind for item in GENERATED.listed(REFERENCE / "names.md")} == found - not_in_plans


class Undocumented:
    """Has a parameter.

    Args:
        told: what it means.
    """

    def __init__(self, told: int = 1, untold: int = 2) -> None:
        pass


def test_a_parameter_whose_meaning_is_not_told_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(SystemExit, match="Undocumented: say in its docstring, under Args, what untold means"):
        GENERATED._described(Undocumented)


def verbs() -> dict[str, Any]:
    register_commands()
    found = {}
    for name, verb in typer.main.get_command(app).commands.items():  # type: ignore[attr-defined]
        inner = getattr(verb, "commands", None)
        found |= {f"{name} {part}": item for part, item in inner.items()} if inner else {name: verb}
    return found


def test_every_verb_and_option_is_documented_with_its_example() -> None:
    text = (REFERENCE / "command-line.md").read_text()
    assert sorted(re.findall(r"^## nas (.+)$", text, re.M)) == sorted(verbs())
    for name, verb in verbs().items():
        part = section(text, f"## nas {name}")
        for parameter in verb.params:
            if parameter.param_type_name == "option":
                assert all(f"`{option}" in part for option in parameter.opts), f"nas {name}: {parameter.opts}"
            else:
                assert parameter.name.upper() in part, f"nas {name}: {parameter.name}"
        assert (verb.epilog or "").removeprefix("Example: ") in part, f"nas {name} has an example"
        assert verb.epilog, f"nas {name} --help shows an example"


def test_every_verb_stands_in_one_group_of_the_help() -> None:
    register_commands()
    known = typer.main.get_command(app).commands  # type: ignore[attr-defined]
    assert sorted(name for names in GROUPS.values() for name in names) == sorted(known)


def test_what_contributing_names_is_there() -> None:
    table = section((ROOT / "CONTRIBUTING.md").read_text(), "## To add")
    for suite in re.findall(r"`(test_\w+\.py)`", table):
        assert (ROOT / "tests" / "contracts" / suite).exists(), suite
    for path in re.findall(r"`(\w+/[\w/]+\.\w+)`", table):
        assert (ROOT / path).exists() or re.search(r"/(network_)?x\.\w+$", path), path
    for name, file in re.findall(r"`([A-Z]+)` in `([\w/]+\.py)`", table):
        assert re.search(rf"^{name}\b", (ROOT / file).read_text(), re.M), f"{name} in {file}"


def test_files_and_functions_of_the_architecture_exist() -> None:
    text = (REFERENCE / "architecture.md").read_text()
    for path in re.findall(r"`([\w/]+/[\w/.]*)`", text):
        assert (ROOT / path).exists(), path
    steps = re.findall(r"^\| `([\w/]+\.py)` \| (`.+?`) \|", text, re.M)
    assert len(steps) > 40
    for path, names in steps:
        for name in re.findall(r"`(\w+)`", names):
            assert re.search(rf"^(def|class) {name}\b", (ROOT / path).read_text(), re.M), f"{name} in {path}"


def test_tables_of_the_architecture_exist() -> None:
    text = (REFERENCE / "architecture.md").read_text()
    named = {
        name for names in re.findall(r"tables? ((?:`\w+`(?:, | and )?)+)", text) for name in re.findall(r"\w+", names)
    }
    assert len(named) > 6
    assert named - {"and"} <= set(Base.metadata.tables)


def test_every_decision_is_listed_with_its_title() -> None:
    folder = ROOT / "docs" / "decisions"
    titles = {page.name: page.read_text().splitlines()[0].removeprefix("# ") for page in folder.glob("0*.md")}
    listed = re.findall(r"^- \[(.+)\]\((.+)\)$", (folder / "README.md").read_text(), re.M)
    assert {page: title for title, page in listed} == titles


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_commands_and_links_of_a_page_exist(page: Path) -> None:
    text = page.read_text()
    for target in re.findall(r"\]\(([^)]+)\)", text):
        if not target.startswith(("http://", "https://", "#")):
            assert (page.parent / target.partition("#")[0]).exists(), target
    code = "\n".join(re.findall(r"^```(?:sh|console)\n(.*?)^```", text, re.M | re.S) + re.findall(r"`([^`\n]+)`", text))
    for verb in re.findall(r"(?:^|[\s/])nas ([a-z][\w-]*)", code, re.M):
        assert verb in {name.split()[0] for name in verbs()}, f"nas {verb}"
    for target in re.findall(r"^make ([a-z][\w-]*)", code, re.M):
        assert re.search(rf"^{target}:", (ROOT / "Makefile").read_text(), re.M), f"make {target}"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_plans_in_a_page_are_valid(page: Path, tmp_path: Path) -> None:
    for number, block in enumerate(re.findall(r"^```yaml\n(.*?)^```", page.read_text(), re.M | re.S)):
        path = tmp_path / f"plan{number}.yaml"
        data = {"task": {"name": "digits"}, "space": {"name": "plain_convnet"}, **yaml.safe_load(block)}
        path.write_text(yaml.safe_dump({key: value for key, value in data.items() if key != "code"}))
        assert isinstance(load_plan(path).task, Named)
