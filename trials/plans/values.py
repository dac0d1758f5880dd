"""What a plan's values may be, wherever they stand: text, numbers that can be stored, yes or no, lists, mappings."""

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

#: Whole numbers that databases, torch and numpy take.
MAX_INTEGER = 2**63 - 1
MAX_PROBLEMS = 20
_REPR = reprlib.Repr()
_REPR.maxstring = _REPR.maxother = 200
_REPR.maxlong, _REPR.maxlist, _REPR.maxdict, _REPR.maxlevel = 60, 8, 8, 3


def check_values(data: Any) -> None:
    """Raise PlanError for values that no key of a plan takes, a line each."""
    problems = [f"{where or 'plan'}: {why}" for where, why in islice(_problems(data, ""), MAX_VALUES)]
    if problems:
        raise PlanError(listed(problems))


def listed(problems: Sequence[str]) -> str:
    """The message about the problems of a plan, a line each; of many it shows the first ``MAX_PROBLEMS``."""
    rest = len(problems) - MAX_PROBLEMS
    more = [f"and {rest} more"] if rest > 0 else []
    return "\n  ".join(["the plan has problems:", *problems[:MAX_PROBLEMS], *more])


def short(value: Any) -> str:
    """A value as a message shows it."""
    try:
        text = _REPR.repr(value)
    except ValueError:  # a number of more digits than Python writes
        return "a number of very many digits"
    return ascii(text)[1:-1] if storable(text) != text else text


def _problems(value: Any, where: str) -> Iterator[tuple[str, str]]:
    if where.count(".") > MAX_LEVELS:
        yield f"{where[:200]}…", f"nested deeper than {MAX_LEVELS} levels"
    elif isinstance(value, Mapping):
        for key, item in value.items():
            if not isinstance(key, str):
                yield where, f"the key {short(key)} is no text; put it in quotes"
            else:
                yield from _problems(item, f"{where}.{key}" if where else key)
    elif isinstance(value, list | tuple):
        for index, item in enumerate(value):
            yield from _problems(item, f"{where}.{index}" if where else str(index))
    elif not isinstance(value, BaseModel) and (why := _refused(value)):  # parts of a plan are checked already
        yield where, why


def _refused(value: Any) -> str:
    """Why a single value can't be in a plan; empty if it can."""
    if value is None or isinstance(value, bool):
        return ""
    if isinstance(value, int):
        return "" if abs(value) <= MAX_INTEGER else f"{short(value)} is out of range; whole numbers end at 2^63 - 1"
    if isinstance(value, float):
        return "" if math.isfinite(value) else f"{value} is no finite number"
    if isinstance(value, str):
        return "" if storable(value) == value else f"{short(value)} has characters that can't be stored"
    return f"{short(value)} is a {type(value).__name__}; write text in quotes, or a number"
