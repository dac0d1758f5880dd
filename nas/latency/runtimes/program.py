"""Descriptions of benchmark programs: how to call a program, and how to read the times that it reports."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from importlib import resources
from pathlib import Path
from typing import Any

from nas.errors import PlanError
from nas.latency.runtimes.readings import Reading, reading_from

#: Names that arguments may contain in braces.
PLACEHOLDERS = ("model", "name", "threads", "batch", "runs", "report", "remote", "python")
_PLACEHOLDER = re.compile(r"\{(\w+)\}")


@dataclass(frozen=True)
class Program:
    """A benchmark program. Its arguments are lists without a shell, in which ``{placeholders}`` are filled in.

    ``{model}`` is the absolute path of the file, ``{name}`` a file name made of its hash, ``{report}`` a file that the
    program may write, ``{remote}`` the place the file was pushed to, ``{python}`` the interpreter that measures.
    """

    name: str
    #: The program and its arguments; one call makes ``{runs}`` runs.
    command: tuple[str, ...]
    #: Where the program reports its times.
    reading: Reading
    formats: frozenset[str]
    precisions: frozenset[str]
    #: Command that prints the version, which is the first group of ``version_pattern`` in its output.
    version_command: tuple[str, ...]
    version_pattern: str
    #: Command that copies the file to where the program runs, before the first call.
    push: tuple[str, ...] = ()
    #: Path that ``push`` copies the file to; it must contain ``{name}``.
    remote: str = ""
    #: Command that removes the pushed file.
    remove: tuple[str, ...] = ()
    #: Environment variables, in addition to those of the measuring process.
    environment: Mapping[str, str] = field(default_factory=dict)
    #: Seconds after which a call is ended.
    timeout_s: float = 60.0

    def __post_init__(self) -> None:
        for key in ("command", "version_command", "push", "remove"):
            for argument in (*getattr(self, key), self.remote):
                unknown = set(_PLACEHOLDER.findall(argument)) - set(PLACEHOLDERS)
                if unknown:
                    raise PlanError(
                        f"program {self.name!r}: {key} has {{{sorted(unknown)[0]}}}; known: "
                        f"{', '.join(f'{{{name}}}' for name in PLACEHOLDERS)}"
                    )
        named = set(_PLACEHOLDER.findall(" ".join(self.command)))
        for key in ("runs", "remote" if self.push else "model"):
            if key not in named:
                raise PlanError(
                    f"program {self.name!r}: command has no {{{key}}}, so the program would not know its {key}; put "
                    f"{{{key}}} where the command takes it"
                )
        if bool(self.push) != ("{name}" in self.remote):
            raise PlanError(f"program {self.name!r}: push and a remote with {{name}} belong together; give both")

    def fill(self, arguments: Sequence[str], **values: object) -> list[str]:
        """Fill in the placeholders of arguments; each argument stays one argument, even if a value has spaces."""
        texts = {key: str(value) for key, value in values.items()}
        if self.remote:
            texts["remote"] = self.remote.replace("{name}", texts["name"])
        return [_PLACEHOLDER.sub(lambda match: texts[match[1]], argument) for argument in arguments]


def shipped() -> list[str]:
    """Names of the descriptions that come with the package."""
    return sorted(Path(item.name).stem for item in _folder().iterdir() if item.name.endswith(".json"))


def load_program(name: str) -> Program:
    """Load a description by its name, or by the path of the user's own JSON file, which ends with ``.json``.

    Raises:
        PlanError: there is no such description, it is not JSON, or a key is missing, unknown or of another type.
    """
    own = name.endswith(".json")
    if not own and name not in shipped():
        raise PlanError(
            f"no program {name!r}; known: {', '.join(shipped())}; describe a program of your own in a JSON file, and "
            "give its path, which ends with .json"
        )
    try:
        text = (Path(name) if own else _folder() / f"{name}.json").read_text(encoding="utf-8")
        data = json.loads(text)
    except OSError as error:
        raise PlanError(f"can't read the program's description {name}: {error.strerror}") from None
    except ValueError as error:
        raise PlanError(f"the program's description {name} is not JSON: {error}") from None
    return _program(Path(name).stem if own else name, data)


def _program(name: str, data: Any) -> Program:
    if not isinstance(data, dict):
        raise PlanError(f"program {name!r}: the description must be an object of keys and values")
    allowed = {item.name for item in fields(Program)} - {"name"}
    if unknown := sorted(data.keys() - allowed):
        raise PlanError(f"program {name!r}: unknown key {unknown[0]!r}; allowed: {', '.join(sorted(allowed))}")
    needed = {"command", "reading", "formats", "version_command", "version_pattern"}
    if missing := sorted(needed - data.keys()):
        raise PlanError(f"program {name!r}: {', '.join(missing)} is missing")
    lists = ("command", "version_command", "push", "remove", "formats", "precisions")
    for key in lists:
        value = data.get(key, [])
        if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
            raise PlanError(f"program {name!r}: {key} is {value!r}; it must be a list of strings")
    values: dict[str, Any] = {key: tuple(data[key]) if key in lists else data[key] for key in data}
    values |= {"formats": frozenset(data["formats"]), "precisions": frozenset(data.get("precisions", ["fp32"]))}
    values["reading"] = reading_from(name, data["reading"])
    return Program(name=name, **values)


def _folder() -> Any:
    return resources.files("nas.latency.runtimes") / "programs"
