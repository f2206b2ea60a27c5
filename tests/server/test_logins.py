"""What counts as a login: a cookie that is not too old; a token in a header, not in an address."""

from __future__ import annotations

import http.client
import secrets
import time
from collections.abc import Iterator
from http.cookies import SimpleCookie

import pytest
from tornado.web import create_signed_value, decode_signed_value
from websocket import WebSocketBadStatusException, create_connection

from tests.scripts.fleet import several

from .running import BASE, PATIENCE, Running, running

#: What the server signs its cookies with.
SECRET = secrets.token_hex(16)
DAY = 24 * 3600.0


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    folder = tmp_path_factory.mktemp("logins")
    environment = {"MACGPU_FLEET": str(several(folder / "fleet.yaml", ["a"]))}
    option = f"--ServerApp.cookie_secret={SECRET}"
    with running(folder, option, environment=environment) as started:
        yield started


@pytest.fixture(scope="module")
def cookie(server: Running) -> tuple[str, str]:
    """Log in as a browser does; return the name and the value of the cookie that says who it is."""
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=PATIENCE)
    connection.request("GET", f"/base/login?token={server.token}")
    answer = connection.getresponse()
    answer.read()
    connection.close()
    found = [SimpleCookie(line) for line in answer.headers.get_all("Set-Cookie") or []]
    (mine,) = [(n, m.value) for each in found for n, m in each.items() if n.startswith("username")]
    return mine


def aged(cookie: tuple[str, str], seconds: float) -> str:
    """Return the same cookie as the server made it so many seconds ago."""
    name, value = cookie
    who = decode_signed_value(SECRET, name, value, max_age_days=1)
    assert who is not None
    old = create_signed_value(SECRET, name, who, clock=lambda: time.time() - seconds)
    return f"{name}={old.decode()}"


def streams(server: Running, query: str = "", **headers: str) -> bool:
    """Say whether the stream opens."""
    try:
        opened = create_connection(
            f"ws://127.0.0.1:{server.port}{BASE}stream{query}",
            header=[f"{name}: {value}" for name, value in headers.items()],
            timeout=PATIENCE,
            suppress_origin=True,
        )
    except WebSocketBadStatusException:
        return False
    opened.close()
    return True


@pytest.mark.parametrize(("days", "is_let_in"), [(0.0, True), (7.0, True), (32.0, False)])
def test_a_cookie_lets_nobody_in_for_ever(
    server: Running, cookie: tuple[str, str], days: float, is_let_in: bool
) -> None:
    said = {"Cookie": aged(cookie, days * DAY)}
    for path in ("version", "state", "hosts/a"):
        answer = server.ask("GET", path, token="", headers=said)
        assert answer.status == (200 if is_let_in else 403), path
    assert streams(server, **said) is is_let_in


def test_a_cookie_that_was_changed_is_none(server: Running, cookie: tuple[str, str]) -> None:
    name, value = cookie
    flipped = value[:-1] + ("0" if value[-1] != "0" else "1")
    said = {"Cookie": f"{name}={flipped}"}
    assert server.ask("GET", "state", token="", headers=said).status == 403
    assert not streams(server, **said)


def test_a_token_in_the_address_does_nothing(server: Running) -> None:
    for token in (server.token, "0" * 32, ""):
        for verb, path, body in (
            ("GET", "version", None),
            ("GET", "state", None),
            ("POST", "hosts/a/ask", {}),
            ("DELETE", "schedules/none", None),
        ):
            answer = server.ask(verb, f"{path}?token={token}", body, token="")
            assert answer.status == 403, (verb, path, token)
            assert token not in answer.raw.decode() or not token
    # Nor beside a right one in a header: an address stands in logs, whoever asks.
    assert server.ask("GET", f"state?token={server.token}").status == 403
    assert server.ask("GET", "state").status == 200


def test_only_a_stream_may_have_it_there_as_browsers_give_it_no_headers(server: Running) -> None:
    assert streams(server, f"?token={server.token}")
    assert not streams(server, f"?token={'0' * 32}")
    assert not streams(server, "?token=")
