"""Jupyter's server drops output that comes too fast: a cell's output gets through all the same."""

from __future__ import annotations

import http.client
import json
import time
import uuid
from collections.abc import Iterator
from typing import Any

import pytest
from websocket import WebSocket, create_connection

from .running import PATIENCE, Running

LINES, WIDTH = 60_000, 99  # 6 MB: twice what the server lets through in its three seconds
SHOWN = 4_000

FLOOD = f"""%%macgpu
for number in range({LINES}):
    print(f"{{number:0{WIDTH}}}")
"""
DISPLAYS = f"""%%macgpu
for number in range({SHOWN}):
    display(number)
"""


@pytest.fixture(scope="module")
def environment(two_hosts: dict[str, str]) -> dict[str, str]:
    return two_hosts


class Kernel:
    """A notebook's kernel, as its browser hears it."""

    def __init__(self, connection: WebSocket) -> None:
        self._connection = connection

    def run(self, code: str) -> list[dict[str, Any]]:
        """Run a cell, and return what the browser is told until it has ended."""
        own = uuid.uuid4().hex
        header = {
            "msg_id": own,
            "msg_type": "execute_request",
            "session": "browser",
            "version": "5.4",
        }
        content = {"code": code, "silent": False, "store_history": True, "allow_stdin": False}
        request = {"channel": "shell", "header": header, "parent_header": {}, "metadata": {}}
        self._connection.send(json.dumps({**request, "content": content, "buffers": []}))
        heard: list[dict[str, Any]] = []
        until = time.monotonic() + 2 * PATIENCE
        while time.monotonic() < until:
            message = json.loads(self._connection.recv())
            if message["parent_header"].get("msg_id") == own:
                heard.append(message)
                if message["content"].get("execution_state") == "idle":
                    return heard
        raise AssertionError(f"no end; {len(heard)} messages")


@pytest.fixture(scope="module")
def kernel(server: Running) -> Iterator[Kernel]:
    body = {"path": "flood.ipynb", "type": "notebook", "name": "", "kernel": {"name": "python3"}}
    (server.root / "flood.ipynb").touch()
    authorized = {"Authorization": f"token {server.token}"}
    asking = http.client.HTTPConnection("127.0.0.1", server.port, timeout=PATIENCE)
    asking.request("POST", "/base/api/sessions", json.dumps(body), authorized)
    own = json.loads(asking.getresponse().read())["kernel"]["id"]
    asking.close()
    connection = create_connection(
        f"ws://127.0.0.1:{server.port}/base/api/kernels/{own}/channels",
        header=[f"{name}: {value}" for name, value in authorized.items()],
        timeout=PATIENCE,
        suppress_origin=True,
    )
    try:
        opened = Kernel(connection)
        opened.run("%load_ext jupyter_macgpu")
        opened.run("%%macgpu\npass\n")
        yield opened
    finally:
        connection.close()


def streams(heard: list[dict[str, Any]], name: str) -> str:
    told = [message["content"] for message in heard if message["msg_type"] == "stream"]
    return "".join(content["text"] for content in told if content["name"] == name)


def test_no_line_of_a_flood_is_dropped(kernel: Kernel) -> None:
    heard = kernel.run(FLOOD)
    assert streams(heard, "stderr") == ""
    assert streams(heard, "stdout").split() == [f"{number:0{WIDTH}}" for number in range(LINES)]


def test_no_display_of_thousands_is_dropped(kernel: Kernel) -> None:
    heard = kernel.run(DISPLAYS)
    assert streams(heard, "stderr") == ""
    shown = [message for message in heard if message["msg_type"] == "display_data"]
    texts = [message["content"]["data"]["text/plain"] for message in shown]
    assert [int(text) for text in texts if text.isdigit()] == list(range(SHOWN))


def test_a_notebook_may_say_that_its_server_takes_more(kernel: Kernel) -> None:
    """And this server does not: so the limits are there, and these tests see them."""
    kernel.run("%macgpu config pace=off")
    heard = kernel.run(FLOOD)
    kernel.run("%macgpu config pace=auto")
    assert "IOPub data rate exceeded" in streams(heard, "stderr")
