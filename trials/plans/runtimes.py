"""Runtimes as they are written on a command line."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from nas.errors import PlanError
from trials.plans.text import parse
from trials.plans.values import check_values, short


def parse_runtime(text: str) -> tuple[str, Mapping[str, Any]]:
    """Name and parameters of ``name,parameter=value,…``, values being YAML.

    Raises:
        PlanError: a parameter without a value.
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
