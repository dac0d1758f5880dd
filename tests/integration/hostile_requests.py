"""Requests that an agent must refuse, with the status of each refusal."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from nas.latency.protocol.measure import Effort
from nas.latency.protocol.references import LADDER
from nas.latency.targets import TargetSpec
from tests.integration.agents import Agent

QUICK = Effort(sessions=1, max_sessions=1, visits=2, precision=0.5, budget_s=1)
#: Times do not matter here, so nothing is calibrated.
REFERENCES = {rung.name: 0.01 * 2**place for place, rung in enumerate(LADDER)}
OWN_PROGRAM = {"runtime": "command", "parameters": {"program": "/tmp/mine.json"}}


def hostile_requests() -> dict[str, tuple[Callable[[Agent, str], tuple[bytes, ...]], int]]:
    """Description → (bytes to send, given an agent and a lease; status of the refusal)."""
    zeros = "0" * 64

    def ask(*arguments: Any, **options: Any) -> Callable[[Agent, str], tuple[bytes, ...]]:
        return lambda agent, lease: (agent.ask(*arguments, lease=lease, **options),)

    def put(path: str, *headers: str, body: bytes = b"abc") -> Callable[[Agent, str], tuple[bytes, ...]]:
        return ask("PUT", path, *headers, body=body)

    def bare(text: str) -> Callable[[Agent, str], tuple[bytes, ...]]:
        return lambda agent, lease: (text.encode("latin-1"),)

    def with_token(change: Callable[[str], str]) -> Callable[[Agent, str], tuple[bytes, ...]]:
        return lambda agent, lease: (
            f"POST /lease HTTP/1.1\r\nContent-Length: 2\r\n{change(agent.token)}\r\n\r\n{{}}".encode("latin-1"),
        )

    return {
        "no token": (bare("POST /lease HTTP/1.1\r\nContent-Length: 2\r\n\r\n{}"), 401),
        "no token, unknown path": (bare("GET /secret HTTP/1.1\r\n\r\n"), 404),
        "wrong token": (with_token(lambda token: f"Authorization: Bearer {'x' * len(token)}"), 401),
        "half of the token": (with_token(lambda token: f"Authorization: Bearer {token[:16]}"), 401),
        "token twice": (with_token(lambda token: "\r\n".join([f"Authorization: Bearer {token}"] * 2)), 401),
        "token by another scheme": (with_token(lambda token: f"Authorization: Basic {token}"), 401),
        "token that is no ASCII": (with_token(lambda token: "Authorization: Bearer \xff\xfe\xfd"), 401),
        "unknown path": (ask("POST", "/shutdown", body=b"{}"), 404),
        "wrong method": (ask("DELETE", "/measure"), 404),
        "unknown method": (ask("BREW", "/lease"), 501),
        "unknown version": (bare("GET /health HTTP/9.9\r\n\r\n"), 505),
        "not HTTP": (bare("\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n"), 400),
        "path with dots": (put("/artifact/../../../etc/passwd"), 404),
        "path with escaped dots": (put("/artifact/%2e%2e%2f%2e%2e%2fetc%2fpasswd"), 404),
        "path after a hash": (put(f"/artifact/{zeros}/../x"), 404),
        "hash with a null byte": (put(f"/artifact/{zeros[:-1]}%00"), 404),
        "path with another host": (put(f"http://elsewhere/artifact/{zeros}"), 404),
        "2 GB announced": (put(f"/artifact/{zeros}", "Content-Length: 2147483648"), 413),
        "no length": (ask("PUT", f"/artifact/{zeros}"), 411),
        "negative length": (put(f"/artifact/{zeros}", "Content-Length: -1"), 400),
        "length that is no number": (put(f"/artifact/{zeros}", "Content-Length: 0x10"), 400),
        "length twice": (put(f"/artifact/{zeros}", "Content-Length: 3", "Content-Length: 9"), 400),
        "chunked": (put(f"/artifact/{zeros}", "Transfer-Encoding: chunked", body=b"zz\r\nabc\r\n0\r\n\r\n"), 411),
        "wrong hash": (put(f"/artifact/{zeros}"), 422),
        "long header": (ask("POST", "/lease", "X-Long: " + "a" * 70_000, body=b"{}"), 431),
        "many headers": (ask("POST", "/lease", *[f"X-{n}: a" for n in range(200)], body=b"{}"), 431),
        "long path": (ask("POST", "/" + "a" * 70_000, body=b"{}"), 414),
        "not JSON": (ask("POST", "/measure", body=b"{'a': 1}"), 400),
        "JSON that is no object": (ask("POST", "/measure", body=b"[1, 2]"), 400),
        "deep JSON": (ask("POST", "/measure", body=b'{"a":' * 8000 + b"1" + b"}" * 8000), 400),
        "JSON that is no text": (ask("POST", "/measure", body=b"\xff\xfe\x00"), 400),
        "long JSON": (ask("POST", "/measure", body=b"{" + b" " * 100_000 + b"}"), 413),
        "end of another's lease": (lambda agent, lease: (agent.ask("DELETE", "/lease", lease="0" * 32),), 410),
        "second lease": (ask("POST", "/lease", body=b"{}"), 409),
        "no file sent before": (ask("POST", "/measure", body=wanted()), 404),
        "unknown runtime": (ask("POST", "/measure", body=wanted(spec={"runtime": "tflite9000"})), 422),
        "code as runtime": (ask("POST", "/measure", body=wanted(spec={"runtime": "os:system"})), 400),
        "runtime of the trainer": (ask("POST", "/measure", body=wanted(spec={"runtime": "torch"})), 422),
        "name with a path": (ask("POST", "/measure", body=wanted(spec={"name": "../x"})), 400),
        "address to call": (ask("POST", "/measure", body=wanted(spec={"address": "http://10.0.0.1:1"})), 400),
        "more keys": (ask("POST", "/measure", body=wanted(path="/etc/passwd")), 400),
        "hash with a path": (ask("POST", "/measure", body=wanted(sha256="../../etc/passwd")), 404),
        "threads without end": (ask("POST", "/measure", body=wanted(spec={"threads": 10**9})), 400),
        "a year's effort": (ask("POST", "/measure", body=wanted(effort={"budget_s": 3e7})), 400),
        "not a number": (ask("POST", "/measure", body=wanted(reject_above_ms=float("nan"))), 400),
        "no references": (ask("POST", "/measure", body=wanted(references={})), 400),
        "profile of no file sent before": (ask("POST", "/profile", body=profiling()), 404),
        "profile of a path": (ask("POST", "/profile", body=profiling(sha256="../../etc/passwd")), 404),
        "profile with a path beside": (ask("POST", "/profile", body=profiling(path="/etc/passwd")), 400),
        "profile of more runs": (ask("POST", "/profile", body=profiling(runs=10**9)), 400),
        "profile by the trainer's runtime": (ask("POST", "/profile", body=profiling(spec={"runtime": "torch"})), 422),
        "profile by code": (ask("POST", "/profile", body=profiling(spec={"runtime": "os:system"})), 400),
        "profile by another's program": (ask("POST", "/profile", body=profiling(spec=OWN_PROGRAM)), 400),
        "profile without a length": (ask("POST", "/profile"), 411),
        "profile without a token": (bare("POST /profile HTTP/1.1\r\nContent-Length: 2\r\n\r\n{}"), 401),
    }


def wanted(spec: dict[str, Any] | None = None, effort: dict[str, Any] | None = None, **changes: Any) -> bytes:
    """The body of a request to measure, with some values replaced."""
    body = {
        "spec": {**TargetSpec("device").to_json(), **(spec or {})},
        "references": REFERENCES,
        "effort": {**vars(QUICK), **(effort or {})},
        "reject_above_ms": None,
        "sha256": "0" * 64,
        **changes,
    }
    return json.dumps(body).encode()


def profiling(spec: dict[str, Any] | None = None, **changes: Any) -> bytes:
    """The body of a request to profile, with some values replaced."""
    body = {"spec": {**TargetSpec("device").to_json(), **(spec or {})}, "sha256": "0" * 64, **changes}
    return json.dumps(body).encode()


def calibrating() -> bytes:
    """The body of a request to calibrate."""
    return json.dumps({"spec": TargetSpec("device").to_json()}).encode()
