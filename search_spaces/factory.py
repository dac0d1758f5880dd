"""Loads the user's function that makes a network, and checks it before it is called."""

from __future__ import annotations

import functools
import inspect
import sys
import typing
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from torch import nn

from nas.errors import PlanError
from nas.registry import load


def load_factory(location: str) -> Callable[..., nn.Module]:
    """Import ``module:attribute``, a module class or a function written in Python; nothing of it is called.

    Raises:
        UnknownNameError: no such module or attribute.
        PlanError: it is not a function or module class, belongs to Python's own library, or is annotated to return
            something other than a module.
    """
    found = load(location, "factory")
    if isinstance(found, type):
        if not issubclass(found, nn.Module):
            raise PlanError(f"factory {location!r} is a class that is no torch.nn.Module; name a module or a function")
        return found
    function = _function_in(found)
    if function is None:
        raise PlanError(f"factory {location!r} is an object of type {type(found).__name__}; name a function or a class")
    if (
        str(function.__module__).partition(".")[0] in sys.stdlib_module_names
    ):  # the module that defines it, which may differ from the module in ``location``
        raise PlanError(f"factory {location!r} is a function of Python's own library, which makes no networks")
    _check_annotation(function, location)
    return found  # type: ignore[no-any-return]


def _function_in(found: Any) -> Callable[..., Any] | None:
    """The Python function inside decorators, ``functools.partial`` and class methods; None if there is none."""
    while isinstance(found, functools.partial):
        found = found.func
    found = inspect.unwrap(found) if callable(found) else found
    return found if inspect.isfunction(found) or inspect.ismethod(found) else None


def _check_annotation(function: Callable[..., Any], location: str) -> None:
    """Refuse a function that is annotated to return a class other than a module; a missing annotation is accepted."""
    returned: Any = nn.Module
    with suppress(Exception):  # an annotation may use a name that is imported for type checkers only
        returned = typing.get_type_hints(function).get("return", nn.Module)
    if isinstance(returned, type) and not issubclass(returned, nn.Module) and not issubclass(nn.Module, returned):
        raise PlanError(f"factory {location!r} is annotated to return {returned.__name__}, not a torch.nn.Module")
