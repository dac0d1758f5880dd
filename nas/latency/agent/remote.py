"""Measures on another device through its agent, with the same interface as a measuring process of this machine."""

from __future__ import annotations

import hashlib
import http.client
import json
import ssl
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, BinaryIO, cast
from urllib.parse import urlsplit

from nas.errors import MeasureError, UnreachableError
from nas.latency.agent import API
from nas.latency.agent.settings import read_token
from nas.latency.process.client import Measurer, MeasuringProcess
from nas.latency.process.parent import refusal
from nas.latency.targets import TargetSpec

#: Longest silence of a live connection, seconds; the agent sends something every second.
SILENCE_S = 30.0
#: Seconds to wait for an agent that does not answer, and for one that is leased to another client.
PATIENCE_S = 20.0
BUSY_S = 300.0
_POLL_S = 0.5
_LONGEST_LINE = 1 << 26
OnProgress = Callable[[Mapping[str, Any]], None]


def open_measurer(spec: TargetSpec) -> Measurer:
    """The measurer of a target: a process of this machine, or the agent on the target's device."""
    return MeasuringProcess(spec) if spec.address is None else DeviceAgent(spec)


class DeviceAgent(Measurer):
    """Asks the agent of a target. Each request takes and returns the lease, so that other clients get their turn."""

    def __init__(self, spec: TargetSpec, *, patience_s: float = PATIENCE_S) -> None:
        """Prepare requests without connecting.

        Args:
            spec: the target, with the address of its agent.
            patience_s: seconds to wait for an agent that does not answer.
        """
        self.spec = spec
        self._patience_s = patience_s

    def close(self) -> None:
        """See ``Measurer.close``; there is nothing to free, because nothing is held between requests."""

    def _request(self, request: Mapping[str, Any], on_progress: OnProgress = lambda progress: None) -> dict[str, Any]:
        path = f"/{request['verb']}"
        body: dict[str, Any] = {"spec": self.spec.here.to_json()}
        body |= {key: request[key] for key in ("effort", "limit", "reject_above_ms") if key in request}
        if request["verb"] in ("health", "measure"):
            body |= {"references": request["target"]["references"]}
        with self._leased() as device, _as_unreachable(self.spec):
            if "path" in request:
                _check_device(self.spec, device, request["target"]["description"])
                body |= {"sha256": self._upload(Path(request["path"]), device)}
            return self._stream(path, body, device["lease"], on_progress)

    @contextmanager
    def _leased(self) -> Iterator[dict[str, Any]]:
        """Lease the device for the block and yield the agent's description of it."""
        device = self._lease()
        try:
            if device.get("agent") != API:
                raise MeasureError(
                    f"the agent of target {self.spec.name!r} has API version {device.get('agent')}, this program has "
                    f"{API}; write a new bundle with nas agent --bundle FILE and start it on the device"
                )
            yield device
        finally:
            with suppress(OSError, http.client.HTTPException, MeasureError):
                self._call("DELETE", "/lease", lease=device["lease"])

    def _lease(self) -> dict[str, Any]:
        started = time.monotonic()
        while True:
            try:
                return self._call("POST", "/lease", b"{}")
            except ssl.SSLCertVerificationError as error:
                raise MeasureError(
                    f"target {self.spec.name!r}: the certificate of {self.spec.address} can't be verified "
                    f"({error.verify_message}); give the certificate as tls_ca"
                ) from error
            except (OSError, http.client.HTTPException, _Busy) as error:
                waited_s = time.monotonic() - started
                if waited_s > (BUSY_S if isinstance(error, _Busy) else self._patience_s):
                    raise _unreachable(self.spec, error) from error
                time.sleep(_POLL_S)

    def _upload(self, path: Path, device: Mapping[str, Any]) -> str:
        data = path.read_bytes()
        if len(data) > device["max_bytes"]:
            raise MeasureError(
                f"{path} has {len(data)} bytes, the agent takes at most {device['max_bytes']}; see its option --max-mb"
            )
        sha256 = hashlib.sha256(data).hexdigest()
        self._call("PUT", f"/artifact/{sha256}", data, lease=device["lease"])
        return sha256

    def _stream(self, path: str, body: Mapping[str, Any], lease: str, on_progress: OnProgress) -> dict[str, Any]:
        connection, response = self._open("POST", path, json.dumps(body).encode(), lease)
        try:
            while line := response.readline(_LONGEST_LINE):
                message = json.loads(line)
                if "error" in message:
                    raise refusal(message)
                if "answer" in message:
                    return cast("dict[str, Any]", message["answer"])
                if "progress" in message:
                    on_progress(message["progress"])
            raise ConnectionError("the connection ended during the measurement")
        finally:
            connection.close()

    def _call(self, method: str, path: str, body: bytes = b"", *, lease: str = "") -> dict[str, Any]:
        connection, response = self._open(method, path, body, lease)
        try:
            return cast("dict[str, Any]", json.loads(response.read(_LONGEST_LINE)))
        finally:
            connection.close()

    def _open(
        self, method: str, path: str, body: bytes, lease: str
    ) -> tuple[http.client.HTTPConnection, http.client.HTTPResponse]:
        """Send a request and return its connection and the successful response.

        Raises:
            MeasureError: the agent refuses the request.
            OSError, HTTPException: the request did not arrive, or the lease is lost.
        """
        headers = {"Authorization": f"Bearer {read_token(str(self.spec.token_file))}", "X-Lease": lease}
        connection = _connection(self.spec)
        try:
            connection.request(method, path, body, headers)
            response = connection.getresponse()
            if response.status != 200:
                _refuse(self.spec, response.status, cast("BinaryIO", response).read(1 << 16))
        except BaseException:
            connection.close()
            raise
        return connection, response


class _Busy(UnreachableError):
    """The device is leased to another client."""


def _connection(spec: TargetSpec) -> http.client.HTTPConnection:
    url = urlsplit(str(spec.address))
    host, port = str(url.hostname), url.port
    if url.scheme == "http":
        return http.client.HTTPConnection(host, port, timeout=SILENCE_S)
    try:
        context = ssl.create_default_context(cafile=spec.tls_ca)
    except OSError as error:
        raise MeasureError(f"target {spec.name!r}: can't read tls_ca {spec.tls_ca}: {error}") from None
    return http.client.HTTPSConnection(host, port, timeout=SILENCE_S, context=context)


def _refuse(spec: TargetSpec, status: int, body: bytes) -> None:
    try:
        reason = str(json.loads(body)["error"])
    except (ValueError, KeyError, TypeError):
        reason = f"status {status}; check that it is an agent of this project"
    message = f"the agent of target {spec.name!r} at {spec.address} refuses the request: {reason}"
    if status == 409:
        raise _Busy(message)
    if status in (408, 410) or status >= 500:
        raise ConnectionError(message)
    raise MeasureError(message)


@contextmanager
def _as_unreachable(spec: TargetSpec) -> Iterator[None]:
    """Turn errors of a broken connection into UnreachableError, which means that a retry may succeed later."""
    try:
        yield
    except (OSError, http.client.HTTPException, ValueError) as error:
        raise _unreachable(spec, error) from error


def _unreachable(spec: TargetSpec, error: BaseException) -> UnreachableError:
    return UnreachableError(
        f"target {spec.name!r} does not answer at {spec.address}: {str(error) or type(error).__name__}; "
        "check that nas agent is running there"
    )


def _check_device(spec: TargetSpec, device: Mapping[str, Any], calibrated: Mapping[str, Any]) -> None:
    """Refuse a device whose processor is not the one that the target was calibrated on."""
    found, known = device.get("processor"), calibrated.get("processor")
    if known is not None and found != known:
        raise MeasureError(
            f"target {spec.name!r} was calibrated on {known!r}, but the device at {spec.address} has {found!r}; "
            "correct the address, or add the device as another target"
        )
