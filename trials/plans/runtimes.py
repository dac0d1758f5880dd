"""Parse a runtime with parameters from the command line."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from nas.errors import PlanError
from trials.plans.text import parse
from trials.plans.values import check_values, short


def parse_runtime(text: str) -> tuple[str, Mapping[str, Any]]:
    """Return name and parameters of ``name,parameter=value,…``; each value is YAML.

    Raises:
        PlanError: a parameter has no value.
    """
    name, *pairs = text.split(",")
    parameters = {}
    for pair in pairs:
        key, equals, value = pair.partition("=")
        if not (key and equals):
            raise PlanError(f"runtime {short(text)}: write name,parameter=value, as in torch,compile=true")
        parameters[key] = parse(value, f"runtime {short(text)}: {short(key)}")
    check_values(parameters)
    return name, parameters
