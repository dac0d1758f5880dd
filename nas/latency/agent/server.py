"""The agent's HTTP server, with one request per connection, few connections, and limits on sizes and times."""

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

#: Seconds that sent data may stay unacknowledged before the client counts as gone.
VANISHED_S = 15
#: Rate of the slowest upload that the server accepts.
BYTES_PER_S = 100_000
SEND_S = 20.0
#: Bytes and seconds for which the rest of a refused body is still read, so that the answer reaches the client.
_DRAIN_BYTES, _DRAIN_S = 1 << 20, 0.5
_ARTIFACT = re.compile(r"/artifact/([0-9a-f]{64})")


def serve(settings: Settings, on_ready: Callable[[str], None] = lambda address: None) -> None:
    """Serve until interrupted or terminated; ``on_ready`` gets the address once the server accepts connections.

    Raises:
        MeasureError: the token or the certificate can't be read.
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
    """Serves each connection in a thread; ``Connections`` limits their number."""

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
        """The URL that the server listens at."""
        host, port = self.server_address[:2]
        name = f"[{host!s}]" if ":" in str(host) else str(host)
        return f"{'https' if self._tls else 'http'}://{name}:{port}"

    def process_request(self, request: Any, client_address: Any) -> None:
        """Serve a connection in a thread, or close it if there are too many."""
        if not self.connections.admit(id(request), request):
            self.shutdown_request(request)
            return
        try:
            super().process_request(request, client_address)
        except BaseException:  # no thread could be started
            self.connections.leave(id(request))
            raise

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        """Serve a connection and unregister it at its end."""
        try:
            super().process_request_thread(request, client_address)
        finally:
            self.connections.leave(id(request))

    def finish_request(self, request: Any, client_address: Any) -> None:
        """Make the TLS handshake, in the connection's thread because it may be slow, and serve the request."""
        number = id(request)
        request.settimeout(self.settings.request_s)
        _notice_the_vanished(request)
        if self._tls is not None:
            request = self._tls.wrap_socket(request, server_side=True, do_handshake_on_connect=False)
            self.connections.wrap(number, request)
            request.do_handshake()
        Handler(request, client_address, self, number)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Log a broken connection, which is no error of the server."""
        log.info("connection of %s ended early", client_address, exc_info=True)


class Handler(BaseHTTPRequestHandler):
    """Serves one request. Paths are compared undecoded."""

    server: AgentServer
    server_version, sys_version = "measured-nas", ""
    #: Version assumed for a request without one; unlike HTTP 0.9, its answer has a status.
    default_request_version = "HTTP/1.0"

    def __init__(self, request: Any, client_address: Any, server: AgentServer, number: int) -> None:
        self._number = number
        super().__init__(request, client_address, server)

    def setup(self) -> None:
        """Set a deadline for reading the request."""
        super().setup()
        self._reader = DeadlineReader(self.connection, self.server.settings.request_s)
        self.rfile = io.BufferedReader(self._reader)
        self._answered = False

    def do_GET(self) -> None:
        """Answer ``/health``, which needs no token."""
        self._serve({"/health": lambda: self._answer(200, self.server.device.health())}, secret=False)

    def do_POST(self) -> None:
        """Take the lease, calibrate, run a canary, measure or profile, depending on the path."""
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
        """Receive a file."""
        found = _ARTIFACT.fullmatch(self.path)
        self._serve({self.path: lambda: self._take(found[1])} if found else {})

    def do_DELETE(self) -> None:
        """End the lease."""
        self._serve({"/lease": lambda: self._answer(200, self.server.device.give_back(self._lease()))})

    def finish(self) -> None:
        """Read the rest of the body, within limits, before the connection ends, so that the answer arrives."""
        with suppress(OSError, ValueError):
            super().finish()
        with suppress(OSError, ValueError):
            self.connection.shutdown(socket.SHUT_WR)
            self.connection.settimeout(_DRAIN_S)
            deadline, left = time.monotonic() + _DRAIN_S, _DRAIN_BYTES
            while left > 0 and time.monotonic() < deadline and (chunk := self.connection.recv(1 << 16)):
                left -= len(chunk)

    def send_error(self, code: int, message: str | None = None, explain: str | None = None) -> None:
        """Answer requests that the base class refuses in the same JSON form as all others."""
        self._answer(int(code), {"error": self.responses.get(code, ("refused",))[0]})

    def log_message(self, format: str, *arguments: Any) -> None:
        """Write the base class's messages to the log in place of standard error."""
        log.info("%s %s", self.address_string(), format % arguments)

    def _serve(self, routes: Mapping[str, Callable[[], None]], *, secret: bool = True) -> None:
        try:
            if secret:
                self._check_token()
            if self.path not in routes:
                raise Refusal(404, "there is nothing at this path")
            routes[self.path]()
        except Refusal as refusal:
            self._answer(refusal.status, {"error": str(refusal)})
        except socket.timeout:  # noqa: UP041 — a class of its own before Python 3.10
            self._answer(408, {"error": "the request takes too long"})
        except (ConnectionError, ssl.SSLError):
            log.info("%s went away", self.address_string())
        except Exception:
            log.exception("a request failed")
            self._answer(500, {"error": "the agent failed at this request; see its log"})

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
            raise Refusal(413, f"the body has {size} bytes; allowed are at most {LONGEST_BODY}")
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
            raise Refusal(400, "Content-Length must be one number, given once")
        return int(given[0])

    def _answer(self, status: int, value: Mapping[str, Any]) -> None:
        """Send a complete answer; does nothing if an answer has begun already."""
        if self._answered:
            return
        body = json.dumps(value).encode() + b"\n"
        self._begin(status, len(body))
        self.wfile.write(body)

    def _send(self, message: Mapping[str, Any]) -> None:
        """Send one line of a streamed answer, which ends with the connection.

        Raises:
            OSError: the client is gone.
        """
        if _has_ended(self.request):
            raise ConnectionAbortedError("the client closed the connection")
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
    """Let the system end a connection whose client acknowledges nothing for ``VANISHED_S`` (Linux)."""
    if hasattr(socket, "TCP_USER_TIMEOUT"):
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, 1000 * VANISHED_S)


def _has_ended(connection: socket.socket) -> bool:
    """Whether the client has closed the connection; it sends nothing after its request."""
    readable, _, _ = select.select([connection], [], [], 0)
    if not readable:
        return False
    if isinstance(connection, ssl.SSLSocket):  # readable bytes may be TLS records: peek at the plain socket
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
