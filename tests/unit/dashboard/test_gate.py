"""Only visitors with the password, or the cookie that they get for it, pass the gate."""

from __future__ import annotations

import asyncio
import base64
from typing import Any

import pytest

from dashboard import gate
from dashboard.gate import Doorstep, Gate

SECRET = "päss:word"


async def behind(scope: Any, receive: Any, send: Any) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": [(b"x", b"y")]})


def asked(front: Gate, kind: str = "http", server: tuple[str, int] | None = None, **headers: str) -> list[Any]:
    sent: list[Any] = []

    async def send(message: Any) -> None:
        sent.append(message)

    pairs = [(name.encode(), value.encode()) for name, value in headers.items()]
    asyncio.run(front({"type": kind, "headers": pairs, "server": server}, None, send))  # type: ignore[arg-type]
    return sent


def basic(password: str) -> str:
    return f"Basic {base64.b64encode(f'anyone:{password}'.encode()).decode()}"


def test_the_password_gives_a_cookie_and_the_cookie_opens_web_sockets() -> None:
    front = Gate(behind, SECRET)
    assert asked(front)[0]["status"] == 401
    assert asked(front, "websocket") == [{"type": "websocket.close", "code": 1008}]
    answer = asked(front, authorization=basic(SECRET))[0]
    cookie = dict(answer["headers"])[b"set-cookie"].decode()
    assert answer["status"] == 200
    assert "HttpOnly" in cookie
    assert "SameSite=Strict" in cookie
    assert SECRET not in cookie
    assert asked(front, "websocket", cookie=f"a=b; {cookie.split(';')[0]}")[0]["status"] == 200
    assert asked(Gate(behind, SECRET), cookie=cookie.split(";")[0])[0]["status"] == 401


@pytest.mark.parametrize("other", ['prefs={"a":1}', "x=hello world", "=", "é=1"])
def test_cookies_of_other_programs_of_this_host_do_not_matter(other: str) -> None:
    front = Gate(behind, SECRET)
    own = dict(asked(front, authorization=basic(SECRET))[0]["headers"])[b"set-cookie"].decode().split(";")[0]
    assert asked(front, "websocket", cookie=f"{other}; {own}")[0]["status"] == 200


def test_dashboards_on_two_ports_have_cookies_of_their_own() -> None:
    names = {
        dict(asked(Gate(behind, SECRET), server=("h", port), authorization=basic(SECRET))[0]["headers"])[
            b"set-cookie"
        ].partition(b"=")[0]
        for port in (8501, 8502)
    }
    assert len(names) == 2


@pytest.mark.parametrize(
    "headers",
    [
        {"authorization": basic("")},
        {"authorization": basic(SECRET + "x")},
        {"authorization": "Basic !!!"},
        {"authorization": f"Bearer {SECRET}"},
        {"cookie": "nas_dashboard_0="},
        {"cookie": 'nas_dashboard_0="\\377'},
        {"cookie": ";;;=,"},
    ],
)
def test_nothing_else_opens_it(headers: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gate, "DELAY_S", 0.0)
    assert asked(Gate(behind, SECRET), **headers)[0]["status"] == 401


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST:8501", "127.0.0.1:8501", "[::1]:8501", "192.168.1.7"])
def test_without_a_password_this_machine_is_called_by_its_address(host: str) -> None:
    assert asked(Doorstep(behind), host=host)[0]["status"] == 200


@pytest.mark.parametrize(
    "host", ["lure.example:8501", "localhost.lure.example", "127.0.0.1.lure.example", "", "[::1", "a b"]
)
def test_another_name_is_refused(host: str) -> None:
    answer, body = asked(Doorstep(behind), host=host)
    assert answer["status"] == 421
    assert b"localhost" in body["body"]
    assert asked(Doorstep(behind), "websocket", host=host) == [{"type": "websocket.close", "code": 1008}]
