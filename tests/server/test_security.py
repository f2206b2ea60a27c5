"""Nobody does or learns anything who may not: every route, every verb, every kind of person."""

from __future__ import annotations

import http.client
import json
import re
import textwrap
from collections.abc import Iterator
from http.cookies import SimpleCookie
from pathlib import Path
from typing import Any

import pytest
from websocket import WebSocketBadStatusException, create_connection

from jupyter_macgpu.server.contract import document
from jupyter_macgpu.server.handlers import BASE as API
from jupyter_macgpu.server.handlers import LARGEST, ROUTES, Handler
from tests.scripts.fleet import several

from .running import BASE, PATIENCE, Running, running

VERBS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")
RUN = "0123456789abcdef" * 2
#: An authorizer as an administrator may have one. It writes down what it is asked.
AUTHORIZER = """
    from pathlib import Path
    from jupyter_server.auth import Authorizer

    class Chosen(Authorizer):
        def is_authorized(self, handler, user, action, resource):
            if resource == "macgpu":
                with Path({log!r}).open("a") as file:
                    file.write(f"{{handler.request.method}} {{handler.request.path}} {{action}}\\n")
            return resource != "macgpu" or action in {allowed!r}

    c.ServerApp.authorizer_class = Chosen
"""
#: An extension with a handler that forgets to ask who it is.
CARELESS = """
    from jupyter_macgpu.server import handlers

    class Careless(handlers.Handler):
        def get(self):
            self.finish("{}")

    handlers.ROUTES.insert(0, ("careless", Careless))

    def _jupyter_server_extension_points():
        return [{"module": "careless"}]

    def _load_jupyter_server_extension(app):
        pass
"""


def paths(routes: list[tuple[str, Any]]) -> list[str]:
    """Return an example of each route."""
    examples = []
    for pattern, _handler in routes:
        choices = re.search(r"\((\w+(?:\|\w+)+)\)", pattern)
        for choice in choices.group(1).split("|") if choices else [""]:
            path = pattern.replace(choices.group(0), choice) if choices else pattern
            what = RUN if path.startswith("runs/") else "a"
            examples.append(path.replace("([^/]+)", what).replace(".*", "no/such/route"))
    return examples


CALLS = [(verb, path) for path in [*paths(ROUTES), "stream"] for verb in VERBS]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """A server that asks nobody who it is but by its own handlers."""
    folder = tmp_path_factory.mktemp("secure")
    environment = {"MACGPU_FLEET": str(several(folder / "fleet.yaml", ["a"]))}
    with running(folder, environment=environment, is_strict=False) as started:
        yield started


def judged(folder: Path, allowed: tuple[str, ...]) -> tuple[Path, dict[str, str]]:
    """Write down an authorizer that allows some actions; return its log and the environment."""
    config = folder / "jupyter" / "config"
    config.mkdir(parents=True)
    log = folder / "asked"
    text = textwrap.dedent(AUTHORIZER).format(log=str(log), allowed=allowed)
    (config / "jupyter_server_config.py").write_text(text)
    return log, {"MACGPU_FLEET": str(several(folder / "fleet.yaml", ["a"]))}


def answered(server: Running, token: str) -> dict[tuple[str, str], int]:
    """Return what comes back for each call that somebody makes; a body is one that may be sent."""
    return {
        (verb, path): server.ask(
            verb, path, {} if verb in ("POST", "PUT", "PATCH") else None, token=token
        ).status
        for verb, path in CALLS
    }


def wrong(statuses: dict[tuple[str, str], int]) -> dict[tuple[str, str], int]:
    """Return the calls that did not end with a plain no."""
    return {
        call: status
        for call, status in statuses.items()
        if status != (405 if call[0] == "OPTIONS" else 403)
    }


@pytest.mark.parametrize("token", ["", "0" * 32], ids=["no token", "bad token"])
def test_who_is_not_logged_in_may_nothing(server: Running, token: str) -> None:
    found = wrong(answered(server, token))
    # What no handler has a method for, is refused for that: nothing is done there either.
    assert {call for call, status in found.items() if status != 405} == set()
    assert all(_method(*call) is None for call in found)


def _method(verb: str, path: str) -> Any:
    """Return our own method that a call would reach, or None."""
    if path == "stream":
        return verb == "GET" or None
    for pattern, handler in ROUTES:
        if path in paths([(pattern, handler)]):
            ours = [kind for kind in handler.__mro__ if kind.__module__ == handler.__module__]
            methods = (kind.__dict__.get(verb.lower()) for kind in ours if kind is not Handler)
            return next(filter(None, methods), None)
    raise AssertionError(path)


def test_whom_the_authorizer_refuses_may_nothing_and_is_asked_about_with_the_right_action(
    tmp_path: Path,
) -> None:
    log, environment = judged(tmp_path, ())
    with running(tmp_path, environment=environment, ready=403, is_strict=False) as denying:
        found = wrong(answered(denying, denying.token))
    assert {call for call, status in found.items() if status != 405} == set()
    assert all(_method(*call) is None for call in found)
    asked: dict[str, set[str]] = {}
    for line in log.read_text().splitlines():
        verb, path, action = line.split()
        asked.setdefault(f"{verb} {path.removeprefix(BASE)}", set()).add(action)
    assert {
        action for call, actions in asked.items() if call.startswith("GET") for action in actions
    } == {"read"}
    assert asked["POST hosts/a/drain"] == {"write"}
    assert asked[f"DELETE runs/{RUN}"] == {"write"}
    executing = ("submit", "jobs", f"runs/{RUN}/cancel", f"runs/{RUN}/move", "schedules/a/run")
    assert all(asked[f"POST {path}"] == {"execute"} for path in executing)


def test_who_may_only_read_changes_nothing(tmp_path: Path) -> None:
    _, environment = judged(tmp_path, ("read",))
    with running(tmp_path, environment=environment) as reading:
        for verb, path in CALLS:
            method = _method(verb, path)
            if verb in ("POST", "DELETE") and method is not None and "no/such" not in path:
                assert reading.ask(verb, path, {}).status == 403, (verb, path)
        assert reading.ask("GET", "state").status == 200


def test_a_handler_that_asks_nobody_is_found(tmp_path: Path) -> None:
    (tmp_path / "careless.py").write_text(textwrap.dedent(CARELESS))
    environment = {
        "MACGPU_FLEET": str(several(tmp_path / "fleet.yaml", ["a"])),
        "PYTHONPATH": str(tmp_path),
    }
    extensions = "{'careless': True, 'jupyter_macgpu': True}"
    with running(
        tmp_path, environment=environment, extensions=extensions, is_strict=False
    ) as careless:
        answer = careless.ask("GET", "careless", token="", undescribed=True)
        assert ("GET", "careless") in wrong({("GET", "careless"): answer.status})
    with running(tmp_path / "strict", environment=environment, extensions=extensions) as strict:
        assert "GET of Careless" in strict.log.read_text()


def test_no_handler_of_ours_is_warned_of(tmp_path: Path) -> None:
    environment = {"MACGPU_FLEET": str(several(tmp_path / "fleet.yaml", ["a"]))}
    with running(tmp_path, environment=environment) as strict:
        log = strict.log.read_text()
    assert API not in log, log


def test_every_route_and_verb_is_described_and_nothing_else() -> None:
    described = {
        (verb, path)
        for path, operations in document()["paths"].items()
        for verb in operations
        if verb != "parameters"
    }
    ours = {("get", "/stream")}
    for pattern, handler in ROUTES[:-1]:
        for example in paths([(pattern, handler)]):
            path = example.replace(RUN, "{run}")
            path = re.sub(r"^(hosts)/a", r"\1/{name}", re.sub(r"^(schedules)/a", r"\1/{id}", path))
            ours |= {
                (verb.lower(), f"/{path}")
                for verb in VERBS
                if verb != "OPTIONS" and _method(verb, example) is not None
            }
    assert described == ours


# D32: ids; D33: bodies; D34: verbs.


@pytest.mark.parametrize(
    "run",
    [
        *(
            "..%2f..%2fetc",
            "%00",
            RUN.upper(),
            RUN[:-1],
            RUN + "0",
            "%D9%A1" * 32,
            "last",
            "x" * 5000,
        ),
        *(f"{RUN}%0a", f"%20{RUN[1:]}", "..", "%2e%2e"),
    ],
)
def test_what_can_be_no_id_is_as_unknown_as_an_id_that_nobody_has(
    server: Running, run: str
) -> None:
    unknown = server.ask("GET", f"runs/{RUN}/outputs")
    assert unknown.status == 404
    answer = server.ask("GET", f"runs/{run}/outputs")
    assert (answer.status, answer.json) == (404, unknown.json)


@pytest.mark.parametrize(
    ("raw", "status"),
    [
        (b"", 400),
        (b"{", 400),
        (b"[]", 400),
        (b"null", 400),
        (b'"x"', 400),
        (b'{"priority": "1"}', 400),
        (b'{"priority": 1.5}', 400),
        (b'{"priority": true}', 400),
        (b'{"priority": 6}', 400),
        (b'{"priority": 1, "more": 1}', 400),
        (b'{"priority": NaN}', 400),
        (b"\xff\xfe", 400),
        (b"[" * 100_000, 400),
        (b'{"priority": 1' + b"0" * 100_000 + b"}", 400),
        (b"x" * (LARGEST + 1), 413),
        (b'{"priority": 1}', 404),
    ],
)
def test_a_body_that_is_not_as_described_is_refused_with_its_place(
    server: Running, raw: bytes, status: int
) -> None:
    answer = server.ask("POST", f"runs/{RUN}/priority", raw=raw)
    assert answer.status == status
    assert answer.json["message"]
    assert len(answer.raw) < 2000


def test_a_verb_that_a_route_lacks_is_refused_whatever_is_said_of_it(server: Running) -> None:
    before = server.ask("GET", "state").json
    for verb, path in CALLS:
        if verb in ("PUT", "PATCH") and path != "no/such/route" and _method(verb, path) is None:
            assert server.ask(verb, path, {}).status == 405, (verb, path)
    override = {"X-HTTP-Method-Override": "DELETE", "X-Method-Override": "POST"}
    for path in (f"runs/{RUN}/cancel", "hosts/a/drain", "jobs", "submit"):
        assert server.ask("GET", path, headers=override).status == 405
    after = server.ask("GET", "state").json
    assert (after["schedules"], after["runs"]) == (before["schedules"], before["runs"])


# D36: other origins.


@pytest.fixture(scope="module")
def cookies(server: Running) -> dict[str, str]:
    """Log in as a browser does, and return its cookies."""
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=PATIENCE)
    found: dict[str, str] = {}
    for path in (f"/base/login?token={server.token}", "/base/login"):
        connection.request("GET", path)
        answer = connection.getresponse()
        answer.read()
        for line in answer.headers.get_all("Set-Cookie") or []:
            found |= {name: morsel.value for name, morsel in SimpleCookie(line).items()}
    connection.close()
    assert any(name.startswith("username") for name in found), found
    return found


#: What a page says of where it is from, by the server's own address, and whether that is let in.
ORIGINS = {
    "its own": ("http://{own}", True),
    "none": (None, True),
    "null": ("null", False),
    "foreign": ("http://evil.example", False),
    "with our name in front": ("http://{own}.evil.example", False),
    "with our name as user": ("http://{own}@evil.example", False),
    "with our name as path": ("http://evil.example/{own}", False),
    "another port": ("http://127.0.0.1:1", False),
    "no port": ("http://127.0.0.1", False),
    "another name of this machine": ("http://localhost:{port}", False),
    "a file": ("file://", False),
    "empty": ("", False),
}


@pytest.mark.parametrize("case", ORIGINS)
def test_pages_of_other_origins_get_nothing(
    server: Running, cookies: dict[str, str], case: str
) -> None:
    text, is_let_in = ORIGINS[case]
    own = f"127.0.0.1:{server.port}"
    origin = None if text is None else text.format(own=own, port=server.port)
    headers = {"Cookie": "; ".join(f"{name}={value}" for name, value in cookies.items())}
    headers |= {"X-XSRFToken": cookies["_xsrf"]}
    said = headers if origin is None else {**headers, "Origin": origin}
    assert (server.ask("GET", "version", token="", headers=said).status == 200) is is_let_in
    status = server.ask("POST", "hosts/a/ask", {}, token="", headers=said).status
    assert (status == 202) is is_let_in
    assert stream_opens(server, said) is is_let_in


def stream_opens(server: Running, headers: dict[str, str]) -> bool:
    origin = headers.get("Origin")
    try:
        opened = create_connection(
            f"ws://127.0.0.1:{server.port}{BASE}stream",
            header=[f"{name}: {value}" for name, value in headers.items() if name != "Origin"],
            timeout=PATIENCE,
            suppress_origin=origin is None,
            **({} if origin is None else {"origin": origin}),
        )
    except WebSocketBadStatusException:
        return False
    opened.close()
    return True


def test_a_name_that_is_not_this_machines_is_not_answered(
    server: Running, cookies: dict[str, str]
) -> None:
    rebound = {"Cookie": "; ".join(f"{name}={value}" for name, value in cookies.items())}
    rebound |= {"Host": f"evil.example:{server.port}"}
    assert server.ask("GET", "state", token="", headers=rebound).status == 403


def test_a_change_needs_more_than_a_cookie(server: Running, cookies: dict[str, str]) -> None:
    only = {"Cookie": "; ".join(f"{name}={value}" for name, value in cookies.items())}
    for more in ({}, {"X-XSRFToken": "2|x|x|1"}, {"Sec-Fetch-Mode": "no-cors"}):
        answer = server.ask("POST", "hosts/a/ask", {}, token="", headers={**only, **more})
        assert answer.status == 403
        assert "message" in json.loads(answer.raw)


def test_the_stream_opens_for_nobody_who_is_not_logged_in(server: Running) -> None:
    assert not stream_opens(server, {})
    assert not stream_opens(server, {"Authorization": f"token {'0' * 32}"})
    assert stream_opens(server, {"Authorization": f"token {server.token}"})


def test_nothing_is_cached_or_framed_or_run(server: Running) -> None:
    answer = server.ask("GET", "state")
    assert answer.headers["Content-Type"].startswith("application/json")
    assert "default-src 'none'" in answer.headers["Content-Security-Policy"]
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert API in BASE
