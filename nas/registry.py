"""Names to ``"module:attribute"``, imported on first use.

Places a name can come from: the table of a folder's ``__init__.py``, an entry point of an installed package
(group ``measured_nas.<kind>``), ``add``, or the name itself when it is written ``module:attribute``.
"""

from __future__ import annotations

import difflib
import importlib
import inspect
import traceback
from collections.abc import Iterable, Mapping
from importlib.metadata import EntryPoint, entry_points
from typing import Any, Generic, TypeVar

from nas.errors import NasError, PlanError, UnknownNameError

T = TypeVar("T")


class Registry(Generic[T]):
    """The names of one kind of thing. Listing them imports nothing."""

    def __init__(self, kind: str, entries: Mapping[str, str]) -> None:
        self.kind = kind
        self._entries = dict(entries)

    def table(self) -> dict[str, str]:
        """Name → ``module:attribute``, those of installed packages included; our own names win."""
        found = {point.name: point.value for point in _entry_points(f"measured_nas.{self.kind}")}
        return dict(sorted({**found, **self._entries}.items()))

    def names(self) -> list[str]:
        """Every name, sorted."""
        return list(self.table())

    def add(self, name: str, location: str) -> None:
        """Add a name in this process, for what plans do not name; the same again is harmless.

        Raises:
            PlanError: the name stands for something else already.
        """
        taken = self.table().get(name, location)
        if taken != location:
            raise PlanError(f"the {self.kind} name {name!r} stands for {taken} already; choose another")
        self._entries[name] = location

    def get(self, name: str) -> T:
        """What stands behind ``name``.

        Raises:
            UnknownNameError: no such name, module or attribute.
        """
        # Our own names first: listing entry points reads the metadata of every installed package, 7 ms.
        location = name if ":" in name else self._entries.get(name) or self.table().get(name)
        if location is None:
            raise UnknownNameError(
                f"unknown {self.kind} {name!r}{nearest(name, self.names())}; "
                f"known: {', '.join(self.names())}; your own code is named as module:attribute"
            )
        return load(location, self.kind)  # type: ignore[no-any-return]


def load(location: str, kind: str = "object") -> Any:
    """Import ``"module:attribute"``.

    Raises:
        UnknownNameError: the module or the attribute is not there.
    """
    module_name, _, attribute = location.partition(":")
    try:
        module = importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        if error.name is not None and module_name.startswith(error.name):
            raise UnknownNameError(
                f"{kind} {location!r}: no module {error.name!r} on the path; "
                "is its folder beside the plan, or under `code:` in it?"
            ) from error
        raise UnknownNameError(
            f"{kind} {location!r} needs the package {error.name!r}, which is not installed; pip install {error.name}"
        ) from error
    try:
        return getattr(module, attribute)
    except AttributeError as error:
        public = [name for name in vars(module) if not name.startswith("_")]
        raise UnknownNameError(
            f"{kind} {location!r}: module {module_name!r} has no {attribute!r}{nearest(attribute, public)}"
        ) from error


def _entry_points(group: str) -> Iterable[EntryPoint]:
    """Those of a group; Python 3.9, on devices, gives all in a dict."""
    found: Any = entry_points()
    return found.select(group=group) if hasattr(found, "select") else found.get(group, ())  # type: ignore[no-any-return]


def make(factory: Any, spec: Mapping[str, Any], kind: str) -> Any:
    """Call ``factory`` with the parameters of a plan's ``{"name": …, parameters…}``.

    Raises:
        PlanError: a parameter that the factory does not take, with the nearest it does; or the factory failed.
    """
    parameters = {key: value for key, value in spec.items() if key != "name"}
    known = [
        name
        for name, parameter in inspect.signature(factory).parameters.items()
        if parameter.kind in (parameter.KEYWORD_ONLY, parameter.POSITIONAL_OR_KEYWORD)
    ]
    for key in parameters:
        if key not in known:
            raise PlanError(
                f"{kind}: {spec['name']!r} has no parameter {key!r}{nearest(key, known)}; "
                f"it takes: {', '.join(known) or 'none'}"
            )
    try:
        return factory(**parameters)
    except NasError:
        raise
    except Exception as error:  # code of the user's own may raise anything
        place = traceback.extract_tb(error.__traceback__)[-1]
        raise PlanError(
            f"{kind}: {spec['name']!r} failed: {type(error).__name__}: {error} ({place.filename}, line {place.lineno})"
        ) from error


def nearest(name: str, known: Iterable[str]) -> str:
    """``"; did you mean 'x'?"`` for a misspelled name, else nothing."""
    close = difflib.get_close_matches(name, list(known), n=1)
    return f"; did you mean {close[0]!r}?" if close else ""
