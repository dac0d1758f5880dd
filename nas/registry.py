"""Registries, which map names to ``"module:attribute"`` and import on first use.

A name comes from the table of a registry in a folder's ``__init__.py``, from an entry point of an installed package
(group ``measured_nas.<kind>``), or from ``add``; a name written as ``module:attribute`` refers to code directly. Names
of a family, such as ``optuna:GPSampler``, are not listed: a function makes the component from the part after the colon.
"""

from __future__ import annotations

import difflib
import importlib
import inspect
import traceback
from collections.abc import Iterable, Mapping
from importlib.metadata import EntryPoint, entry_points
from types import ModuleType
from typing import Any, Generic, TypeVar

from nas.errors import NasError, PlanError, UnknownNameError
from nas.extras import missing
from nas.scalars import misfit

T = TypeVar("T")


class Registry(Generic[T]):
    """The names of one kind of component. Listing them imports nothing."""

    def __init__(
        self,
        kind: str,
        entries: Mapping[str, str],
        *,
        subclasses_of: type = object,
        instances_of: type | None = None,
        families: Mapping[str, str] | None = None,
    ) -> None:
        """Make a registry.

        Args:
            kind: kind of the components, in the plural; the entry point group is ``measured_nas.<kind>``.
            entries: name → ``module:attribute``.
            subclasses_of: class of which components must be concrete subclasses.
            instances_of: class of which components must be instances; replaces ``subclasses_of``.
            families: name before a colon → ``module:function`` that makes a component from the text after the colon.
        """
        self.kind = kind
        self._one = f"{kind[:-3]}y" if kind.endswith("ies") else kind.removesuffix("s")
        self._entries = dict(entries)
        self.families = dict(families or {})
        self._base = instances_of or subclasses_of
        self._holds_classes = instances_of is None

    def table(self) -> dict[str, str]:
        """Name → ``module:attribute``, including names of installed packages; the project's own names win."""
        found = {point.name: point.value for point in _entry_points(f"measured_nas.{self.kind}")}
        return dict(sorted({**found, **self._entries}.items()))

    def names(self) -> list[str]:
        """All names, sorted."""
        return list(self.table())

    def add(self, name: str, location: str) -> None:
        """Add a name in this process, for components that plans do not name; repeating a call does nothing.

        Raises:
            PlanError: the name already stands for something else.
        """
        taken = self.table().get(name, location)
        if taken != location:
            raise PlanError(f"the {self._one} name {name!r} stands for {taken} already; choose another")
        self._entries[name] = location

    def get(self, name: str) -> T:
        """Import the component ``name`` and check its kind, without calling it.

        Raises:
            UnknownNameError: there is no such name, module or attribute.
            MissingPackageError: the component's module needs a package that is not installed.
            PlanError: the name stands for something of another kind, or its module can't be imported.
        """
        if not isinstance(name, str):
            raise PlanError(f"{self._one} {name!r} is not a name; known: {', '.join(self.names())}")
        # The project's own names come first, because listing entry points reads the metadata of all packages (7 ms).
        family, colon, member = name.partition(":")
        if colon and family in self.families:
            return load(self.families[family], self._one, name)(member)  # type: ignore[no-any-return]
        location = name if colon else self._entries.get(name) or self.table().get(name)
        if location is None:
            listed = [*self.names(), *(f"{family}:…" for family in self.families)]
            known = f"known: {', '.join(listed)}; your own code is named as module:attribute"
            raise UnknownNameError(f"unknown {self._one} {name!r}{nearest(name, self.names(), known)}")
        found = load(location, self._one, name)
        self._check_kind(found, location)
        return found  # type: ignore[no-any-return]

    def _check_kind(self, found: Any, location: str) -> None:
        """Refuse an object that is not a concrete subclass (or an instance) of this registry's class."""
        wanted = f"{self._base.__module__}.{self._base.__qualname__}"
        if not self._holds_classes:
            if not isinstance(found, self._base):
                raise PlanError(f"{self._one} {location!r} is {_described(found)}, not an object of {wanted}")
            return
        if not isinstance(found, type) or not issubclass(found, self._base):
            raise PlanError(f"{self._one} {location!r} is {_described(found)}, not a subclass of {wanted}")
        if inspect.isabstract(found):
            missing = ", ".join(sorted(getattr(found, "__abstractmethods__", ())))
            raise PlanError(f"{self._one} {location!r} is abstract: a subclass must define {missing}")


def _described(found: Any) -> str:
    if isinstance(found, type):
        return f"the class {found.__module__}.{found.__qualname__}"
    return f"an object of type {type(found).__name__}"


def is_location(text: str) -> bool:
    """Whether a text has the form ``module:attribute``, which ``load`` imports."""
    module_name, _, attribute = text.partition(":")
    return attribute.isidentifier() and all(part.isidentifier() for part in module_name.split("."))


def load(location: str, kind: str = "object", name: str = "") -> Any:
    """Import ``"module:attribute"``.

    Args:
        location: ``module:attribute``.
        kind: kind of the object, for messages.
        name: name by which the user refers to it, if other than ``location``.

    Raises:
        UnknownNameError: the module or the attribute does not exist.
        MissingPackageError: the module needs a package that is not installed.
        PlanError: the name is malformed, or the module raises when it is imported.
    """
    if not is_location(location):
        raise PlanError(f"{kind} {location!r}: write module:attribute, as in my_code:MyClass")
    module_name, _, attribute = location.partition(":")
    module = _imported(module_name, location, kind, name or location)
    try:
        return getattr(module, attribute)
    except AttributeError as error:
        public = [name for name in vars(module) if not name.startswith("_")]
        file = getattr(module, "__file__", None) or "built into Python"
        hint = nearest(attribute, public, "if a file of yours has the same name as an installed module, rename it")
        raise UnknownNameError(
            f"{kind} {location!r}: module {module_name!r} ({file}) has no {attribute!r}{hint}"
        ) from error


def _imported(module_name: str, location: str, kind: str, name: str) -> ModuleType:
    try:
        return importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        if error.name is not None and module_name.startswith(error.name):
            raise UnknownNameError(
                f"{kind} {location!r}: no module {error.name!r} on the import path; "
                "its folder must contain the plan or be listed under `code:` in it"
            ) from error
        raise missing(str(error.name), f"{kind}: {name!r}") from error
    except NasError:
        raise
    except (Exception, SystemExit) as error:  # the user's code may raise anything
        raise PlanError(
            f"{kind} {location!r}: importing {module_name} failed: {type(error).__name__}: {error} ({_place_of(error)})"
        ) from error


def _place_of(error: BaseException) -> str:
    """File and line of the user's code that raised."""
    if isinstance(error, SyntaxError):
        return f"{error.filename}, line {error.lineno}"
    place = traceback.extract_tb(error.__traceback__)[-1]
    return f"{place.filename}, line {place.lineno}"


def _entry_points(group: str) -> Iterable[EntryPoint]:
    """The entry points of a group; Python 3.9, on devices, returns all groups in a dict."""
    found: Any = entry_points()
    return found.select(group=group) if hasattr(found, "select") else found.get(group, ())  # type: ignore[no-any-return]


def make(factory: Any, spec: Mapping[str, Any], kind: str) -> Any:
    """Call ``factory`` with the parameters of a plan's ``{"name": …, parameters…}``.

    Raises:
        PlanError: the factory does not take a parameter (the message suggests the nearest one), a value does not match
            the parameter's annotation, or the factory failed.
    """
    parameters = {key: value for key, value in spec.items() if key != "name"}
    known = [
        name
        for name, parameter in inspect.signature(factory).parameters.items()
        if parameter.kind in (parameter.KEYWORD_ONLY, parameter.POSITIONAL_OR_KEYWORD)
    ]
    for key in parameters:
        if key not in known:
            hint = nearest(key, ["name", *known], f"it takes: {', '.join(known) or 'none'}")
            raise PlanError(f"{kind}: {spec['name']!r} has no parameter {key!r}{hint}")
    for key, value in parameters.items():
        if wanted := misfit(factory, key, value):
            raise PlanError(f"{kind}: {key} of {spec['name']!r} is {value!r}; it takes {wanted}")
    try:
        return factory(**parameters)
    except NasError:
        raise
    except Exception as error:  # the user's code may raise anything
        raise PlanError(
            f"{kind}: {spec['name']!r} failed: {type(error).__name__}: {error} ({_place_of(error)})"
        ) from error


def nearest(name: str, known: Iterable[str], then: str = "") -> str:
    """End of a message about an unknown name: ``"; did you mean 'x'?"`` if a known one is similar, and ``then``."""
    close = difflib.get_close_matches(name, list(known), n=1)
    if close:
        return f"; did you mean {close[0]!r}? {then[:1].upper()}{then[1:]}".rstrip()
    return f"; {then}" if then else ""
