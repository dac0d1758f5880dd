"""What is read of a space without importing it."""

from __future__ import annotations

import inspect
from pathlib import Path

import pytest

from search_spaces import SPACES
from trials.cli.unimported import read_space

TOLD = 'class Mine(SearchSpace):\n    """My space.\n\n    Args:\n        depth: of it.\n    """\n'


@pytest.mark.parametrize("name", SPACES.names())
def test_the_source_of_a_space_tells_what_importing_it_tells(name: str) -> None:
    space = SPACES.get(name)
    assert read_space(SPACES.table()[name]) == (inspect.getdoc(space), space.paper)


@pytest.mark.parametrize(
    ("source", "told"),
    [
        (TOLD + "1 / 0\n", ("My space.\n\nArgs:\n    depth: of it.", None)),  # importing it would fail
        (TOLD + "    paper = of_the_year()\n", None),
        (TOLD.replace("SearchSpace", "Another"), None),
        ("class Mine(SearchSpace): pass", None),
        ("class Mine(", None),
        ("from another import Mine", None),
    ],
)
def test_a_source_that_does_not_tell_is_left_to_the_import(
    source: str, told: object, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "my_space.py").write_text(source)
    monkeypatch.syspath_prepend(tmp_path)
    assert read_space("my_space:Mine") == told
    assert read_space("no_such_module_here:Mine") is None
