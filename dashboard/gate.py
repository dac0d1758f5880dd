"""Lets only visitors in who know the password.

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
from http.cookies import CookieError, SimpleCookie
from typing import Any

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Message, Receive, Send], Awaitable[None]]
#: Environment variable with the password; other users of the machine can't read it.
PASSWORD = "NAS_DASHBOARD_PASSWORD"
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
        if scope["type"] == "lifespan" or self._has_cookie(headers.get(b"cookie", b"")):
            await self._app(scope, receive, send)
        elif self._has_password(headers.get(b"authorization", b"")):
            await self._app(scope, receive, self._with_cookie(send))
        else:
            if b"authorization" in headers:
                await asyncio.sleep(DELAY_S)
            await _refuse(scope, send)

    def _has_cookie(self, header: bytes) -> bool:
        try:
            found = SimpleCookie(header.decode("latin-1")).get(COOKIE)
        except CookieError:
            return False
        return found is not None and hmac.compare_digest(found.value.encode(), self._token.encode())

    def _has_password(self, header: bytes) -> bool:
        scheme, _, given = header.partition(b" ")
        if scheme.lower() != b"basic":
            return False
        try:
            _, _, password = base64.b64decode(given, validate=True).partition(b":")
        except binascii.Error:
            return False
        return hmac.compare_digest(password, self._password)

    def _with_cookie(self, send: Send) -> Send:
        cookie = f"{COOKIE}={self._token}; Path=/; HttpOnly; SameSite=Strict".encode()

        async def sent(message: Message) -> None:
            if message["type"] == "http.response.start":
                message = {**message, "headers": [*message.get("headers", ()), (b"set-cookie", cookie)]}
            await send(message)

        return sent


async def _refuse(scope: Message, send: Send) -> None:
    if scope["type"] == "websocket":
        await send({"type": "websocket.close", "code": 1008})
        return
    headers = [
        (b"www-authenticate", b'Basic realm="measured-nas", charset="UTF-8"'),
        (b"content-type", b"text/plain"),
        (b"cache-control", b"no-store"),
    ]
    await send({"type": "http.response.start", "status": 401, "headers": headers})
    await send({"type": "http.response.body", "body": b"This dashboard asks for a password.\n"})
