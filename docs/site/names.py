"""Writes ``docs/reference/names.md`` and the lists of classes in ``docs/reference/api`` from what is registered.

A part of a page between ``<!-- … of module:REGISTRY -->`` and ``<!-- end -->`` belongs to this script. ``sections``
describe every name with its parameters and every family of names, ``texts`` describe names without parameters, a
``table`` has a line for every name, and ``classes`` are those that the reference of the Python API documents. All other
text is written by hand.
"""

from __future__ import annotations

import importlib
import inspect
import re
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel

from nas.registry import Registry, load

ROOT = Path(__file__).parents[2]
PAGES = (ROOT / "docs/reference/names.md", *sorted((ROOT / "docs/reference/api").glob("*.md")))
_PART = re.compile(r"^<!-- (\w+) of ([\w.]+):(\w+) -->\n.*?^<!-- end -->$", re.MULTILINE | re.DOTALL)
_SECTION = re.compile(r"^(Args|Attributes|Raises|Returns|Yields):$", re.MULTILINE)
_INHERITED = re.compile(r"[Pp]arameters (?:are|as) those of ``(\w+)``")


def written(page: Path) -> str:
    """The text of a page with its generated parts as they should be."""

    def part(found: re.Match[str]) -> str:
        form, module, name = found.groups()
        registry = getattr(importlib.import_module(module), name)
        return f"<!-- {form} of {module}:{name} -->\n{_FORMS[form](registry)}\n<!-- end -->"

    return _PART.sub(part, page.read_text())


def listed(page: Path) -> list[Registry[Any]]:
    """The registries that a page has a part for."""
    return [getattr(importlib.import_module(module), name) for _, module, name in _PART.findall(page.read_text())]


def _sections(registry: Registry[Any]) -> str:
    names = [f"\n### {name}\n\n{_described(registry.get(name))}\n" for name in registry.names()]
    families = [
        f"\n### {family}:…\n\n{_markdown(_description(load(location)), folded=False)}\n"
        for family, location in registry.families.items()
    ]
    return "".join([*names, *families])


def _texts(registry: Registry[Any]) -> str:
    texts = {name: _markdown(_description(registry.get(name)), folded=False) for name in registry.names()}
    return "".join(f"\n### {name}\n\n{text}\n" for name, text in texts.items())


def _table(registry: Registry[Any]) -> str:
    rows = [f"| `{name}` | {summary(registry.get(name))} |" for name in registry.names()]
    return "\n".join([f"| {registry.kind.removesuffix('s')} | meaning |", "|---|---|", *rows])


def _classes(registry: Registry[Any]) -> str:
    entries = [registry.get(name) for name in registry.names()]
    found = dict.fromkeys(entry if isinstance(entry, type) else type(entry) for entry in entries)
    return "".join(f"\n::: {item.__module__}.{item.__qualname__}\n" for item in found)


_FORMS: Mapping[str, Callable[[Registry[Any]], str]] = {
    "sections": _sections,
    "texts": _texts,
    "table": _table,
    "classes": _classes,
}


def summary(entry: Any) -> str:
    """What a table says of a registered class or object: its own ``summary``, or its docstring without sections."""
    own = getattr(entry, "summary", "")
    return _markdown(own if own and isinstance(own, str) else _description(entry))


def _described(entry: Any) -> str:
    """Description and parameters of a class."""
    text = _markdown(_description(entry), folded=False)
    parameters = [item for item in inspect.signature(entry).parameters.values() if item.default is not item.empty]
    if not parameters:
        return text
    meanings = meanings_of(entry)
    for item in parameters:
        if item.name not in meanings:
            raise SystemExit(f"{entry.__name__}: say in its docstring, under Args, what {item.name} means")
    rows = [f"| `{item.name}` | `{default(item.default)}` | {meanings[item.name]} |" for item in parameters]
    return "\n".join([text, "", "| parameter | default | meaning |", "|---|---|---|", *rows])


def meanings_of(entry: Any) -> dict[str, str]:
    """Parameter → meaning, of a class: from ``Args`` of its docstring, its ``#:`` comments, or the class it refers to.

    Raises:
        KeyError: the docstring says that the parameters are those of a class that its module does not have.
    """
    text = inspect.getdoc(entry) or ""
    found = {}
    if other := _INHERITED.search(text):
        found = meanings_of(vars(sys.modules[entry.__module__])[other[1]])
    if issubclass(entry, BaseModel):
        comments = re.findall(r"((?:^    #: .*\n)+)    (\w+):", inspect.getsource(entry), re.MULTILINE)
        found |= {name: _markdown(comment.replace("#:", "")) for comment, name in comments}
    arguments = re.search(r"^Args:\n(.*?)(?=^\S|\Z)", text, re.MULTILINE | re.DOTALL)
    entries = re.findall(r"^    (\w+): (.*?)(?=^    \w+: |\Z)", arguments[1] if arguments else "", re.M | re.S)
    return found | {name: _markdown(meaning).rstrip(".") for name, meaning in entries}


def default(value: Any) -> str:
    """A default as it is written in a plan."""
    if isinstance(value, float):
        return f"{value:.10f}".rstrip("0").removesuffix(".") + (".0" if value.is_integer() else "")
    plain = list(value) if isinstance(value, tuple) else value
    return yaml.safe_dump(plain, default_flow_style=True, width=1000).removesuffix("...\n").strip()


def _description(entry: Any) -> str:
    return _SECTION.split(inspect.getdoc(entry) or "", maxsplit=1)[0].strip()


def _markdown(text: str, folded: bool = True) -> str:
    """A part of a docstring as Markdown; pages of the documentation become links."""
    text = " ".join(text.split()) if folded else text
    return re.sub(r"`docs/([\w/-]+\.md)`", _link, text.replace("``", "`"))


def _link(found: re.Match[str]) -> str:
    title = (ROOT / "docs" / found[1]).read_text().partition("\n")[0].removeprefix("# ")
    return f"[{title[:1].lower()}{title[1:]}](../{found[1]})"


if __name__ == "__main__":
    for page in PAGES:
        page.write_text(written(page))
