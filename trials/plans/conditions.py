"""Conditions on metrics, written as ``latency_ms<2 and size_bytes<=1e6``."""

from __future__ import annotations

import math
import operator
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nas.errors import PlanError
from trials.plans.values import short

_OPERATORS: Mapping[str, Callable[[Any, float], Any]] = {
    "<=": operator.le,
    ">=": operator.ge,
    "==": operator.eq,
    "<": operator.lt,
    ">": operator.gt,
}
_CONDITION = re.compile(r"\s*([^\s<>=]+)\s*(<=|>=|==|<|>)\s*(\S+)\s*")


@dataclass(frozen=True)
class Condition:
    """A bound that a metric keeps."""

    metric: str
    sign: str
    bound: float

    def holds(self, values: Any) -> NDArray[np.bool_]:
        """Whether values of the metric keep the bound; NaN, an unknown value, never does."""
        kept: NDArray[np.bool_] = _OPERATORS[self.sign](np.asarray(values, dtype=np.float64), self.bound)
        return kept


def parse_conditions(text: str) -> list[Condition]:
    """Read conditions that ``and`` joins; an empty text has none.

    Raises:
        PlanError: a part is not a metric, a comparison and a number.
    """
    return [_condition(part) for part in re.split(r"\band\b", text)] if text.strip() else []


def _condition(part: str) -> Condition:
    found = _CONDITION.fullmatch(part)
    try:
        bound = float(found[3]) if found else math.nan
    except ValueError:
        bound = math.nan
    if found is None or math.isnan(bound):
        raise PlanError(
            f"{short(part.strip())} is not a condition; write a metric, one of {' '.join(_OPERATORS)}, and a number, "
            "and join conditions with and: latency_ms<2 and size_bytes<1e6"
        )
    return Condition(found[1], found[2], bound)
