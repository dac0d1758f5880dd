"""The agent's HTTP server. One request a connection, few connections at a time, and a limit on everything."""

from __future__ import annotations

import hmac
import io
import json
import logging
import os
import re
import select
import signal
import socket
import ssl
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from socketserver import TCPServer, ThreadingMixIn
from typing import Any, BinaryIO, cast

from nas.errors import MeasureError
from nas.latency.agent.connections import Connections
from nas.latency.agent.deadline import DeadlineReader
from nas.latency.agent.device import Device
from nas.latency.agent.refusal import Refusal
from nas.latency.agent.requests import LONGEST_BODY, parse
from nas.latency.agent.settings import Settings, read_token
from nas.scratch import Scratch

log = logging.getLogger(__name__)

#: Seconds that what was sent may go unacknowledged: then whoever is connected has vanished.
VANISHED_S = 15
#: Slowest upload that is waited for.
BYTES_PER_S = 100_000
SEND_S = 20.0
#: What is read, and for how long, of a body that is refused, so that the answer arrives.
_DRAIN_BYTES, _DRAIN_S = 1 << 20, 0.5
_ARTIFACT = re.compile(r"/artifact/([0-9a-f]{64})")


def serve(settings: Settings, on_ready: Callable[[str], None] = lambda address: None) -> None:
    """Serve until interrupted or terminated; ``on_ready`` is told the address once connections are taken.

    Raises:
        MeasureError: no token, or the certificate can't be read.
        OSError: the port is taken.
    """
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    with Scratch(f"nas-agent-{os.getpid()}-") as folder:
        artifacts = Path(folder) / "artifacts"
        artifacts.mkdir()
        device = Device(settings, artifacts)
        try:
            with AgentServer(settings, device) as server:
                on_ready(server.address)
                server.serve_forever()
        finally:
            device.close()


class AgentServer(ThreadingMixIn, TCPServer):
    """Takes connections, a thread each; see ``Connections`` for what happens where there are many."""

    daemon_threads, block_on_close = True, False
    allow_reuse_address = True
    request_queue_size = 128

    def __init__(self, settings: Settings, device: Device) -> None:
        self.settings, self.device = settings, device
        self.token = read_token(settings.token_file).encode()
        self._tls = _tls(settings)
        self.connections = Connections()
        self.address_family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
        super().__init__((settings.host, settings.port), cast("Any", Handler))

    @property
    def address(self) -> str:
        """Where it listens."""
        host, port = self.server_address[:2]
        name = f"[{host!s}]" if ":" in str(host) else str(host)
        return f"{'https' if self._tls else 'http'}://{name}:{port}"

    def process_request(self, request: Any, client_address: Any) -> None:
        """Serve in a thread, if there may be one more."""
        if not self.connections.admit(id(request), request):
            self.shutdown_request(request)
            return
        try:
            super().process_request(request, client_address)
        except BaseException:  # no thread could be started
            self.connections.leave(id(request))
            raise

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        """Serve, and note the end."""
        try:
            super().process_request_thread(request, client_address)
        finally:
            self.connections.leave(id(request))

    def finish_request(self, request: Any, client_address: Any) -> None:
        """Greet by TLS, here and not where connections are taken: that may take its time."""
        number = id(request)
        request.settimeout(self.settings.request_s)
        _notice_the_vanished(request)
        if self._tls is not None:
            request = self._tls.wrap_socket(request, server_side=True, do_handshake_on_connect=False)
            self.connections.wrap(number, request)
            request.do_handshake()
        Handler(request, client_address, self, number)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A connection that broke is nothing to worry about."""
        log.info("connection of %s ended early", client_address, exc_info=True)


class Handler(BaseHTTPRequestHandler):
    """One request. Paths are compared as they are, never decoded."""

    server: AgentServer
    server_version, sys_version = "measured-nas", ""
    #: What is answered where the version is none: with a status, unlike HTTP 0.9.
    default_request_version = "HTTP/1.0"

    def __init__(self, request: Any, client_address: Any, server: AgentServer, number: int) -> None:
        self._number = number
        super().__init__(request, client_address, server)

    def setup(self) -> None:
        """Put a deadline on what is read."""
        super().setup()
        self._reader = DeadlineReader(self.connection, self.server.settings.request_s)
        self.rfile = io.BufferedReader(self._reader)
        self._answered = False

    def do_GET(self) -> None:
        """Whether the agent is there; needs no token."""
        self._serve({"/health": lambda: self._answer(200, self.server.device.health())}, secret=False)

    def do_POST(self) -> None:
        """Take the lease, calibrate, run a canary, measure, profile."""
        device = self.server.device
        self._serve(
            {
                "/lease": lambda: self._answer(200, self._with_body(lambda body: device.lend())),
                "/calibrate": lambda: self._with_body(lambda body: device.calibrate(self._lease(), body, self._send)),
                "/health": lambda: self._with_body(lambda body: device.canary(self._lease(), body, self._send)),
                "/measure": lambda: self._with_body(lambda body: device.measure(self._lease(), body, self._send)),
                "/profile": lambda: self._with_body(lambda body: device.profile(self._lease(), body, self._send)),
            }
        )

    def do_PUT(self) -> None:
        """Take a file."""
        found = _ARTIFACT.fullmatch(self.path)
        self._serve({self.path: lambda: self._take(found[1])} if found else {})

    def do_DELETE(self) -> None:
        """End the lease."""
        self._serve({"/lease": lambda: self._answer(200, self.server.device.give_back(self._lease()))})

    def finish(self) -> None:
        """Let the answer arrive: what is left of a body is read, within limits, before the connection ends."""
        with suppress(OSError, ValueError):
            super().finish()
        with suppress(OSError, ValueError):
            self.connection.shutdown(socket.SHUT_WR)
            self.connection.settimeout(_DRAIN_S)
            deadline, left = time.monotonic() + _DRAIN_S, _DRAIN_BYTES
            while left > 0 and time.monotonic() < deadline and (chunk := self.connection.recv(1 << 16)):
                left -= len(chunk)

    def send_error(self, code: int, message: str | None = None, explain: str | None = None) -> None:
        """What the base class refuses, told like the rest."""
        self._answer(int(code), {"error": self.responses.get(code, ("refused",))[0]})

    def log_message(self, format: str, *arguments: Any) -> None:
        """To the log, not to the terminal."""
        log.info("%s %s", self.address_string(), format % arguments)

    def _serve(self, routes: Mapping[str, Callable[[], None]], *, secret: bool = True) -> None:
        try:
            if secret:
                self._check_token()
            if self.path not in routes:
                raise Refusal(404, "there is nothing here")
            routes[self.path]()
        except Refusal as refusal:
            self._answer(refusal.status, {"error": str(refusal)})
        except socket.timeout:  # noqa: UP041 — another class before Python 3.10
            self._answer(408, {"error": "the request takes too long"})
        except (ConnectionError, ssl.SSLError):
            log.info("%s went away", self.address_string())
        except Exception:
            log.exception("a request failed")
            self._answer(500, {"error": "the agent failed over this request; its log says why"})

    def _check_token(self) -> None:
        shown = self.headers.get_all("Authorization") or [""]
        expected = b"Bearer " + self.server.token
        if len(shown) != 1 or not hmac.compare_digest(shown[0].encode("utf-8", "replace"), expected):
            raise Refusal(401, "the token is missing or wrong; both sides need the same token file")
        self.server.connections.prove(self._number)

    def _lease(self) -> str:
        return str(self.headers.get("X-Lease", ""))

    def _with_body(self, use: Callable[[Mapping[str, Any]], Any]) -> Any:
        size = self._body_size()
        if size > LONGEST_BODY:
            raise Refusal(413, f"a body of {size} bytes; {LONGEST_BODY} at most")
        body = self.rfile.read(size)
        if len(body) < size:
            raise Refusal(400, f"the body ended {size - len(body)} bytes early")
        return use(parse(body))

    def _take(self, sha256: str) -> None:
        size = self._body_size()
        self._reader.deadline += size / BYTES_PER_S
        stream = cast("BinaryIO", self.rfile)
        self._answer(200, self.server.device.receive(self._lease(), sha256, stream, size))

    def _body_size(self) -> int:
        if "Transfer-Encoding" in self.headers:
            raise Refusal(411, "send Content-Length; other transfer encodings are not read")
        given = self.headers.get_all("Content-Length") or []
        if not given:
            raise Refusal(411, "send Content-Length")
        if len(given) != 1 or not re.fullmatch(r"[0-9]{1,15}", given[0]):
            raise Refusal(400, "Content-Length is no number, or given twice")
        return int(given[0])

    def _answer(self, status: int, value: Mapping[str, Any]) -> None:
        """The whole answer; nothing if one is under way already."""
        if self._answered:
            return
        body = json.dumps(value).encode() + b"\n"
        self._begin(status, len(body))
        self.wfile.write(body)

    def _send(self, message: Mapping[str, Any]) -> None:
        """One line of an answer that grows; it ends with the connection.

        Raises:
            OSError: whoever asked is gone.
        """
        if _has_ended(self.request):
            raise ConnectionAbortedError("the asker closed the connection")
        if not self._answered:
            self._begin(200, None)
        self.wfile.write(json.dumps(message).encode() + b"\n")

    def _begin(self, status: int, size: int | None) -> None:
        self._answered = True
        self.connection.settimeout(SEND_S)
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        if size is not None:
            self.send_header("Content-Length", str(size))
        self.send_header("Connection", "close")
        self.end_headers()


def _notice_the_vanished(connection: socket.socket) -> None:
    """Have the system end a connection whose other side acknowledges nothing (Linux)."""
    if hasattr(socket, "TCP_USER_TIMEOUT"):
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, 1000 * VANISHED_S)


def _has_ended(connection: socket.socket) -> bool:
    """Whether the other side has closed a connection on which it has nothing more to say."""
    readable, _, _ = select.select([connection], [], [], 0)
    if not readable:
        return False
    if isinstance(connection, ssl.SSLSocket):  # what is to be read may be TLS's own: look below it
        peeked = socket.socket.recv(connection, 1, socket.MSG_PEEK)
    else:
        peeked = connection.recv(1, socket.MSG_PEEK)
    return not peeked


def _tls(settings: Settings) -> ssl.SSLContext | None:
    if not settings.tls_cert:
        return None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    try:
        context.load_cert_chain(settings.tls_cert, settings.tls_key)
    except OSError as error:
        raise MeasureError(f"can't read {settings.tls_cert} and {settings.tls_key}: {error}") from None
    return context
