"""Lets only visitors in who know the password; without a password, only those who call this machine by its address.

A browser asks for it once (HTTP Basic, with any user name) and then has a cookie, because browsers do not send a
password with web sockets.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import hmac
import os
import secrets
from collections.abc import Awaitable, Callable, MutableMapping
from ipaddress import ip_address
from typing import Any
from urllib.parse import urlsplit

from starlette.requests import cookie_parser

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Message, Receive, Send], Awaitable[None]]
#: Environment variable with the password; other users of the machine can't read it.
PASSWORD = "NAS_DASHBOARD_PASSWORD"
#: How the name of the cookie begins; the port follows, because a browser sends its cookies to every port of a host.
COOKIE = "nas_dashboard"
#: Seconds before a wrong password is answered.
DELAY_S = 1.0


class Gate:
    """An ASGI application in front of another one; it passes on the requests of visitors who know the password."""

    def __init__(self, app: App, password: str = "") -> None:
        """Guard ``app``; ``password``: by default that of the environment."""
        self._app = app
        self._password = (password or os.environ[PASSWORD]).encode()
        #: What the cookie holds; all visitors have to give the password again once the server was restarted.
        self._token = secrets.token_urlsafe(32)

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Answer one request or one web socket."""
        headers = dict(scope.get("headers", ()))
        cookie = f"{COOKIE}_{(scope.get('server') or ('', 0))[1]}"
        if scope["type"] == "lifespan" or self._has_cookie(cookie, headers.get(b"cookie", b"")):
            await self._app(scope, receive, send)
        elif self._has_password(headers.get(b"authorization", b"")):
            await self._app(scope, receive, self._with_cookie(cookie, send))
        else:
            if b"authorization" in headers:
                await asyncio.sleep(DELAY_S)
            await _refuse(scope, send)

    def _has_cookie(self, name: str, header: bytes) -> bool:
        found = cookie_parser(header.decode("latin-1")).get(name, "")
        return hmac.compare_digest(found.encode(), self._token.encode())

    def _has_password(self, header: bytes) -> bool:
        scheme, _, given = header.partition(b" ")
        if scheme.lower() != b"basic":
            return False
        try:
            _, _, password = base64.b64decode(given, validate=True).partition(b":")
        except binascii.Error:
            return False
        return hmac.compare_digest(password, self._password)

    def _with_cookie(self, name: str, send: Send) -> Send:
        cookie = f"{name}={self._token}; Path=/; HttpOnly; SameSite=Strict".encode()

        async def sent(message: Message) -> None:
            if message["type"] == "http.response.start":
                message = {**message, "headers": [*message.get("headers", ()), (b"set-cookie", cookie)]}
            await send(message)

        return sent


class Doorstep:
    """An ASGI application in front of another one; it refuses requests under any name but ``localhost``.

    A web page elsewhere can let its own name point to this machine, and would then be allowed to read the dashboard and
    to press its buttons. An IP address can't be made to point elsewhere.
    """

    def __init__(self, app: App) -> None:
        """Guard ``app``."""
        self._app = app

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Answer one request or one web socket."""
        host = dict(scope.get("headers", ())).get(b"host", b"").decode("latin-1")
        if scope["type"] == "lifespan" or _is_here(host):
            await self._app(scope, receive, send)
        else:
            await _answer(
                scope, send, 421, "Without a password, this dashboard answers only as localhost or by IP address."
            )


def _is_here(host: str) -> bool:
    """Whether a header ``Host`` has ``localhost`` or an IP address, with or without a port."""
    try:
        name = urlsplit(f"//{host}").hostname or ""
        return name == "localhost" or bool(ip_address(name))
    except ValueError:
        return False


async def _refuse(scope: Message, send: Send) -> None:
    asks = (b"www-authenticate", b'Basic realm="measured-nas", charset="UTF-8"')
    await _answer(scope, send, 401, "This dashboard asks for a password.", asks)


async def _answer(scope: Message, send: Send, status: int, text: str, *headers: tuple[bytes, bytes]) -> None:
    """Refuse a request with a text, or close a web socket."""
    if scope["type"] == "websocket":
        await send({"type": "websocket.close", "code": 1008})
        return
    every = [*headers, (b"content-type", b"text/plain"), (b"cache-control", b"no-store")]
    await send({"type": "http.response.start", "status": status, "headers": every})
    await send({"type": "http.response.body", "body": f"{text}\n".encode()})
