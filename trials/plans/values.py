"""Check the values of a plan: only text, numbers that can be stored, booleans, lists and mappings are allowed."""

from __future__ import annotations

import math
import reprlib
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from typing import Any

from pydantic import BaseModel

from nas.errors import PlanError
from nas.foreign import storable
from trials.plans.text import MAX_LEVELS, MAX_VALUES

#: Largest whole number that databases, torch and numpy accept.
MAX_INTEGER = 2**63 - 1
MAX_PROBLEMS = 20
_REPR = reprlib.Repr()
_REPR.maxstring = _REPR.maxother = 200
_REPR.maxlong, _REPR.maxlist, _REPR.maxdict, _REPR.maxlevel = 60, 8, 8, 3


def check_values(data: Any) -> None:
    """Raise PlanError for values that no key of a plan accepts, with one line per value."""
    problems = [f"{where or 'plan'}: {why}" for where, why in islice(_problems(data, ""), MAX_VALUES)]
    if problems:
        raise PlanError(listed(problems))


def listed(problems: Sequence[str]) -> str:
    """The message about the problems of a plan, a line each; of many it shows the first ``MAX_PROBLEMS``."""
    rest = len(problems) - MAX_PROBLEMS
    more = [f"and {rest} more"] if rest > 0 else []
    return "\n  ".join(["the plan has problems:", *problems[:MAX_PROBLEMS], *more])


def short(value: Any) -> str:
    """Return a short text of a value for messages."""
    try:
        text = _REPR.repr(value)
    except ValueError:  # Python refuses to print an integer of so many digits
        return "a number of too many digits to print"
    return ascii(text)[1:-1] if storable(text) != text else text


def _problems(value: Any, where: str) -> Iterator[tuple[str, str]]:
    if where.count(".") > MAX_LEVELS:
        yield f"{where[:200]}…", f"nested deeper than {MAX_LEVELS} levels"
    elif isinstance(value, Mapping):
        for key, item in value.items():
            if not isinstance(key, str):
                yield where, f"the key {short(key)} is not text; put it in quotes"
            else:
                yield from _problems(item, f"{where}.{key}" if where else key)
    elif isinstance(value, list | tuple):
        for index, item in enumerate(value):
            yield from _problems(item, f"{where}.{index}" if where else str(index))
    elif not isinstance(value, BaseModel) and (why := _refused(value)):  # models were checked when they were created
        yield where, why


def _refused(value: Any) -> str:
    """Return why a single value is not allowed in a plan; empty if it is allowed."""
    if value is None or isinstance(value, bool):
        return ""
    if isinstance(value, int):
        return "" if abs(value) <= MAX_INTEGER else f"{short(value)} is out of range; whole numbers go up to 2^63 - 1"
    if isinstance(value, float):
        return "" if math.isfinite(value) else f"{value} is not a finite number"
    if isinstance(value, str):
        return "" if storable(value) == value else f"{short(value)} contains characters that can't be stored"
    return f"{short(value)} is a {type(value).__name__}; write text in quotes, or a number"
