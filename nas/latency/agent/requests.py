"""Checks every value of the requests to an agent; the agent uses no value that was not checked here."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Mapping
from dataclasses import fields
from typing import Any

from nas.latency.agent.refusal import Refusal
from nas.latency.runtimes import RUNTIMES
from nas.latency.targets import TargetSpec

LONGEST_BODY = 1 << 16
#: Names of runtimes that agents never run.
NEVER = frozenset({"torch"})
#: Largest values allowed: any number of an effort (seconds, sessions, visits), entries of a mapping, threads, batch.
MAX_EFFORT, MAX_ENTRIES, MAX_THREADS, MAX_BATCH = 3600, 64, 1024, 1 << 16

_NAME = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9_.-]{0,199}")
_WORD = re.compile(r"[A-Za-z0-9_-]{1,64}")

Check = Callable[[Any], bool]


def parse(body: bytes) -> Mapping[str, Any]:
    """Parse a request's body as a JSON object; an empty body is an empty object.

    Raises:
        Refusal: the body is not a JSON object.
    """
    try:
        value = json.loads(body or b"{}", parse_constant=_no_number)
    except (ValueError, RecursionError) as error:
        raise Refusal(400, f"the body is not JSON: {type(error).__name__}") from None
    if not isinstance(value, dict):
        raise Refusal(400, f"the body is a JSON {type(value).__name__}; send an object")
    return value


def check_calibrate(data: Mapping[str, Any]) -> dict[str, Any]:
    """Check a calibration request and return its specification, as ``TargetSpec.to_json`` writes it.

    Raises:
        Refusal: something in the request is not allowed.
    """
    _check(data, {"spec": _is_mapping}, "request")
    return _spec(data["spec"])


def check_health(data: Mapping[str, Any]) -> dict[str, Any]:
    """Check a canary request and return ``target`` and ``limit`` of the measuring process's request.

    Raises:
        Refusal: something in the request is not allowed.
    """
    _check(data, {"spec": _is_mapping, "references": _is_mapping, "limit": _is_positive}, "request")
    _check_entries(data["references"], _is_positive, "references")
    return {
        "target": {"spec": _spec(data["spec"]), "references": data["references"], "description": {}},
        "limit": data["limit"],
    }


def check_measure(data: Mapping[str, Any]) -> dict[str, Any]:
    """Check a request to measure and return ``target``, ``effort`` and ``reject_above_ms`` for the measuring process.

    Raises:
        Refusal: something in the request is not allowed.
    """
    checks: dict[str, Check] = {
        "spec": _is_mapping,
        "references": _is_mapping,
        "effort": _is_mapping,
        "reject_above_ms": lambda value: value is None or _is_positive(value),
        "sha256": lambda value: isinstance(value, str),
    }
    _check(data, checks, "request")
    _check_entries(data["references"], _is_positive, "references")
    _check_entries(data["effort"], lambda value: _is_positive(value) and value <= MAX_EFFORT, "effort")
    return {
        "target": {"spec": _spec(data["spec"]), "references": data["references"], "description": {}},
        "effort": data["effort"],
        "reject_above_ms": data["reject_above_ms"],
    }


def check_profile(data: Mapping[str, Any]) -> dict[str, Any]:
    """Check a request to profile and return its specification.

    Raises:
        Refusal: something in the request is not allowed.
    """
    _check(data, {"spec": _is_mapping, "sha256": lambda value: isinstance(value, str)}, "request")
    return _spec(data["spec"])


def _spec(data: Mapping[str, Any]) -> dict[str, Any]:
    _check(data, {field.name: _SPEC[field.name] for field in fields(TargetSpec)}, "spec")
    known = sorted(set(RUNTIMES.names()) - NEVER)
    if data["runtime"] not in known:
        raise Refusal(422, f"runtime {data['runtime']!r} is unknown; this agent knows {', '.join(known)}")
    return dict(data)


def _check(data: Mapping[str, Any], checks: Mapping[str, Check], what: str) -> None:
    if data.keys() != checks.keys():
        raise Refusal(400, f"the {what} has the keys {_shown(list(data))}; it needs exactly {', '.join(checks)}")
    for key, check in checks.items():
        if not check(data[key]):
            raise Refusal(400, f"the {what}'s {key} is {_shown(data[key])}, which is not allowed")


def _check_entries(data: Mapping[str, Any], check: Check, what: str) -> None:
    if not 0 < len(data) <= MAX_ENTRIES:
        raise Refusal(400, f"{what} has {len(data)} entries; allowed are 1 to {MAX_ENTRIES}")
    for key, value in data.items():
        if not _WORD.fullmatch(key) or not check(value):
            raise Refusal(400, f"{what} has {_shown(key)}: {_shown(value)}, which is not allowed")


def _is_mapping(value: Any) -> bool:
    return isinstance(value, dict)


def _is_none(value: Any) -> bool:
    return value is None


def _is_word(value: Any) -> bool:
    return isinstance(value, str) and bool(_WORD.fullmatch(value))


def _are_parameters(value: Any) -> bool:
    """Whether all values are words or numbers; paths are refused, so that clients can't choose files of the device."""
    return (
        _is_mapping(value)
        and len(value) <= MAX_ENTRIES
        and all(_is_word(key) and (isinstance(item, (int, float)) or _is_word(item)) for key, item in value.items())
    )


def _is_positive(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and 0 < value < 1e12 and math.isfinite(value)


def _is_count(value: Any, maximum: int) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 1 <= value <= maximum


def _shown(value: Any) -> str:
    return repr(value)[:80]


def _no_number(text: str) -> Any:
    raise ValueError(text)


#: Field of a target's specification → the check of its value.
_SPEC: Mapping[str, Check] = {
    "name": lambda value: isinstance(value, str) and bool(_NAME.fullmatch(value)),
    "runtime": _is_word,
    "threads": lambda value: _is_count(value, MAX_THREADS),
    "batch": lambda value: _is_count(value, MAX_BATCH),
    "core": lambda value: value is None or value == 0 or _is_count(value, MAX_THREADS),
    "parameters": _are_parameters,
    "address": _is_none,
    "token_file": _is_none,
    "tls_ca": _is_none,
}
