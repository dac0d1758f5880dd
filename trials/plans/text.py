"""Read and write the YAML of plans safely: size, depth and number of values are bounded, and keys may not repeat."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path
from typing import Any

import yaml

from nas.errors import PlanError

#: Largest size of a plan's file in bytes.
MAX_BYTES = 1 << 20
#: Largest number of values in a plan; a value that an alias repeats counts each time.
MAX_VALUES = 50_000
MAX_LEVELS = 40
#: Text that YAML reads as itself, without quotes.
_PLAIN = re.compile(r"[A-Za-z][\w./-]*")


def read_text(path: Path) -> str:
    """Return the text of a plan's file.

    Raises:
        PlanError: the file does not exist, can't be read, is too large, or is not UTF-8.
    """
    if os.path.isdir(path):
        raise PlanError(f"{path} is a folder; give a plan file, as in {path}/<name>.yaml")
    try:
        with path.open("rb") as file:
            data = file.read(MAX_BYTES + 1)
    except FileNotFoundError:
        raise PlanError(f"the plan {path} does not exist; `nas init` writes one") from None
    except (OSError, ValueError) as error:
        raise PlanError(f"the plan {str(path)!r} can't be read: {error}; check its name and its permissions") from None
    if len(data) > MAX_BYTES:
        raise PlanError(
            f"{path} is larger than {MAX_BYTES >> 20} MiB; a plan is a short text: check that this file is the plan"
        )
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise PlanError(f"{path} is not UTF-8 (byte {error.start}); save it as UTF-8") from None


def parse(text: str, what: str) -> Any:
    """Return the value of a YAML text.

    Raises:
        PlanError: the text is not YAML, a key repeats, or the value is nested too deeply or too large; the message
            begins with ``what``.
    """
    try:
        return yaml.load(text, _Loader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        place = f", line {mark.line + 1}, column {mark.column + 1}" if mark else ""
        problem = ", ".join(words for words in (error.context, error.problem) if words)
        raise PlanError(f"{what} is not YAML{place}: {problem}") from None
    except yaml.reader.ReaderError as error:
        raise PlanError(f"{what} is not YAML: character {error.position} is {error.character!r}") from None
    except (yaml.YAMLError, ValueError, TypeError, OverflowError, RecursionError) as error:
        raise PlanError(f"{what} is not YAML: {error}") from None


class _Loader(yaml.SafeLoader):
    """A safe loader that limits depth and number of values while it composes nodes, before it builds any value."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        #: Anchors of the nodes that are being composed, outermost first; None for a node without an anchor.
        self._open: list[str | None] = []
        #: Id of a node → number of values in it, including itself.
        self._sizes: dict[int, int] = {}

    def compose_node(self, parent: Any, index: Any) -> Any:
        """See ``yaml.composer.Composer``."""
        event = self.peek_event()  # type: ignore[no-untyped-call]
        mark, anchor = event.start_mark, getattr(event, "anchor", None)
        if isinstance(event, yaml.AliasEvent) and anchor in self._open:
            raise yaml.MarkedYAMLError(problem=f"the alias {anchor!r} is inside its own anchor", problem_mark=mark)
        self._open.append(anchor)
        if len(self._open) > MAX_LEVELS:
            raise yaml.MarkedYAMLError(problem=f"nested deeper than {MAX_LEVELS} levels", problem_mark=mark)
        node = super().compose_node(parent, index)
        self._open.pop()
        if self._sizes.setdefault(id(node), self._size(node)) > MAX_VALUES:
            raise yaml.MarkedYAMLError(problem=f"more than {MAX_VALUES} values", problem_mark=mark)
        return node

    def construct_mapping(self, node: Any, deep: bool = False) -> Any:
        """Build a mapping; refuse a repeated key, because one of its values would be lost silently."""
        seen = set()
        for key, _ in node.value:
            if isinstance(key, yaml.ScalarNode) and (key.tag, key.value) in seen:
                raise yaml.MarkedYAMLError(problem=f"the key {key.value!r} repeats", problem_mark=key.start_mark)
            seen.add((key.tag, str(key.value)) if isinstance(key, yaml.ScalarNode) else id(key))
        return super().construct_mapping(node, deep)

    def _size(self, node: Any) -> int:
        if isinstance(node, yaml.ScalarNode):
            return 1
        parts = [part for item in node.value for part in (item if isinstance(item, tuple) else (item,))]
        return 1 + sum(self._sizes[id(part)] for part in parts)


def written(value: Any) -> str:
    """Return a value as it is written in YAML without quotes: ``true``, ``null``, ``3``, ``conv``."""
    special = {True: "true", False: "false", None: "null"}
    return special[value] if value is None or isinstance(value, bool) else str(value)


def answer_text(value: Any) -> str:
    """Return an answer as ``trials.plans.answers.parse_answers`` reads it."""
    return json.dumps(value) if isinstance(value, str) and not _PLAIN.fullmatch(value) else written(value)
