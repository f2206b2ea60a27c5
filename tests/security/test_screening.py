"""What a host with `trust: data` shows: text, pictures, and pages in which nothing runs."""

from __future__ import annotations

import base64
import html
import re
import struct
from html.parser import HTMLParser
from typing import Any

import pytest

from jupyter_macgpu.screening import Screen, screened_text
from jupyter_macgpu.wire.errors import MacGPUError, RemoteError
from jupyter_macgpu.wire.plain import plain, plain_line, plain_values

PNG = b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + b"IHDR" + struct.pack(">II", 2, 2) + bytes(9)
HUGE_PNG = PNG[:16] + struct.pack(">II", 100_000, 100_000) + bytes(9)
JPEG = b"\xff\xd8\xff\xe0\x00\x04ab\xff\xc0\x00\x0b\x08\x00\x02\x00\x02\x01\x01\x11\x00\xff\xd9"
HUGE_JPEG = JPEG.replace(b"\x08\x00\x02\x00\x02", b"\x08\xff\xff\xff\xff")

PAGES = [
    "<script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    "<svg onload=alert(1)>",
    "<svg><script>alert(1)</script></svg>",
    "<iframe src=javascript:alert(1)></iframe>",
    "<iframe srcdoc='<script>alert(1)</script>'></iframe>",
    "<a href=javascript:alert(1) target=_top>x</a>",
    "<form action=http://evil.example method=post><input name=a></form>",
    "<meta http-equiv=refresh content='0;url=javascript:alert(1)'>",
    "<base href=http://evil.example/>",
    "<link rel=stylesheet href=http://evil.example/x.css>",
    "<style>@import url(http://evil.example/x.css)</style>",
    "<object data=javascript:alert(1)></object>",
    "<embed src=javascript:alert(1)>",
    "<body onload=alert(1)>",
    "<details open ontoggle=alert(1)>",
    "<video><source onerror=alert(1)></video>",
    "<math href=javascript:alert(1)>x</math>",
    "<button data-commandlinker-command=notebook:run-all-cells>x</button>",
    "<button data-commandlinker-args='{}'>x</button>",
    '"></iframe><script>alert(1)</script>',
    "'></iframe><script>alert(1)</script>",
    "&quot;&gt;&lt;script&gt;alert(1)&lt;/script&gt;",
    '" sandbox="allow-scripts allow-same-origin',
    '" onload="alert(1)',
    "</iframe><img src=x onerror=alert(1)>",
    "<!--><script>alert(1)</script>-->",
    "<template><script>alert(1)</script></template>",
    "\x00<script>alert(1)</script>",
    "<plaintext>",
]
DROPPED: dict[str, Any] = {
    "application/javascript": "alert(1)",
    "text/javascript": "alert(1)",
    "application/vnd.jupyter.widget-view+json": {"model_id": "x", "version_major": 2},
    "application/vnd.jupyterlab.something+json": {},
    "application/vnd.bokehjs_load.v0+json": "",
    "application/vnd.plotly.v1+json": {},
    "text/html; charset=utf-8": "<b>x</b>",
    "TEXT/HTML": "<b>x</b>",
    "text/markdown": "<script>alert(1)</script>",
    "text/latex": "\\href{javascript:alert(1)}{x}",
    "application/pdf": "x",
    "application/x-unknown": "x",
    "image/gif": "x",
    "video/mp4": "x",
}


class Tags(HTMLParser):
    """Keeps the tags that a page has at its top."""

    def __init__(self, page: str) -> None:
        super().__init__(convert_charrefs=True)
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.texts = ""
        self.feed(page)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.texts += data


@pytest.mark.parametrize("page", PAGES)
def test_a_page_stands_in_a_frame_where_nothing_runs(page: str) -> None:
    data, metadata = Screen("h").bundle({"text/html": page}, {"text/html": {"isolated": False}})
    tags = Tags(data["text/html"])
    assert [tag for tag, _ in tags.found] == ["iframe"]
    assert tags.texts == ""
    attributes = tags.found[0][1]
    assert attributes["sandbox"] == ""
    assert set(attributes) == {"sandbox", "title", "referrerpolicy", "style", "srcdoc"}
    assert (attributes["srcdoc"] or "").startswith('<meta http-equiv="Content-Security-Policy"')
    assert (attributes["srcdoc"] or "").endswith(page)
    assert metadata == {}


@pytest.mark.parametrize("drawing", [*PAGES[:4], '"><script>alert(1)</script>', "<svg/>"])
def test_a_drawing_is_an_image(drawing: str) -> None:
    data, _ = Screen("h").bundle({"image/svg+xml": drawing, "text/plain": "x"}, {})
    tags = Tags(data["text/html"])
    assert [tag for tag, _ in tags.found] == ["img"]
    source = tags.found[0][1]["src"] or ""
    assert base64.b64decode(source.removeprefix("data:image/svg+xml;base64,")).decode() == drawing
    assert data["text/plain"] == "x"


@pytest.mark.parametrize("kind", DROPPED)
def test_other_kinds_are_left_out_and_said_once(kind: str) -> None:
    screen = Screen("studio-1")
    for _ in range(3):
        data, _ = screen.bundle({kind: DROPPED[kind], "text/plain": "x"}, {kind: {"a": 1}})
        assert data == {"text/plain": "x"}
    notes = screen.notes()
    assert len(notes) == 1
    assert kind in notes[0]
    assert "studio-1" in notes[0]


def test_kinds_without_end_do_not_flood_the_notebook() -> None:
    screen = Screen("h")
    for number in range(1000):
        screen.bundle({f"x/{number}": 1}, {})
    assert len(screen.notes()) == 20


def encoded(raw: bytes) -> str:
    return base64.encodebytes(raw).decode()


def test_pictures_are_shown_with_their_size() -> None:
    data = {"image/png": encoded(PNG), "image/jpeg": encoded(JPEG), "application/json": {"a": [1]}}
    metadata = {
        "image/png": {"width": 5, "onload": "x", "height": "x"},
        "application/json": {"expanded": True, "root": "x"},
        "isolated": False,
    }
    assert Screen("h").bundle(data, metadata) == (
        data, {"image/png": {"width": 5}, "application/json": {"expanded": True}},
    )  # fmt: skip


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        ("image/png", encoded(HUGE_PNG)), ("image/png", encoded(JPEG)), ("image/png", "x"),
        ("image/png", '"><script>'), ("image/png", "A" * (65 * 2**20)), ("image/png", ["x", 1]),
        ("image/png", encoded(b"\x89PNG\r\n\x1a\n")), ("image/jpeg", encoded(HUGE_JPEG)),
        ("image/jpeg", encoded(PNG)), ("image/png", None), ("text/html", {"x": 1}),
        ("text/plain", 5), ("image/svg+xml", None),
    ],
)  # fmt: skip
def test_what_is_no_picture_is_left_out(kind: str, value: object) -> None:
    screen = Screen("h")
    assert screen.bundle({kind: value}, {}) == ({}, {})
    assert kind in screen.notes()[0]


@pytest.mark.parametrize("data", [None, [], "x", 5])
def test_what_is_no_bundle_shows_nothing(data: object) -> None:
    assert Screen("h").bundle(data, data) == ({}, {})
    assert Screen("h").transient(data) == {}


def test_a_display_is_one_of_the_hosts_own() -> None:
    assert Screen("h").transient({"display_id": "a"}) == {"display_id": "macgpu:h:a"}
    assert Screen("h").transient({"display_id": 5, "x": 1}) == {}


CONTROL = [
    "\x1b]8;;http://evil.example\x1b\\", "\x1b]8;;\x07", "\x1b]52;c;AAAA\x07", "\x1b]0;title\x07",
    "\x1bPq#0\x1b\\", "\x1b^x\x1b\\", "\x1b_x\x1b\\", "\x9b2J", "\x1b[2J", "\x1b[1A", "\x1b[H",
    "\x1b[?1049h", "\x1b[6n", "\x1bc", "\x1b(0", "\x1b#8", "\x07", "\x0c", "\x0e", "\x85",
    "\x9dx\x9c",
]  # fmt: skip


@pytest.mark.parametrize("control", CONTROL)
def test_text_keeps_colours_and_returns_alone(control: str) -> None:
    around = f"a\x1b[31mred\x1b[0m\r50%\b{control}end\n\t"
    wanted = "a\x1b[31mred\x1b[0m\r50%\bend\n\t"
    assert screened_text(around) == wanted
    screen = Screen("h")
    assert "".join(screen.stream("stdout", letter) for letter in around) == wanted
    assert Screen("h").bundle({"text/plain": around}, {})[0] == {"text/plain": wanted}
    assert not re.search(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]", plain(around))


def test_a_sequence_without_an_end_holds_no_more_than_it_may() -> None:
    screen = Screen("h")
    shown = "".join(screen.stream("stdout", "\x1b]0;" + "x" * 1000) for _ in range(100))
    assert "\x1b" not in shown
    assert screen.stream("stdout", "\x07after").endswith("after")


@pytest.mark.parametrize("text", ["plain", "\N{SNOWMAN} é", "a\u202eb", "a\u200bb", "a\ud800b"])
def test_our_own_lines_hold_nothing_that_acts(text: str) -> None:
    assert plain_line(f"{text}\nx") == plain(text) + " x"
    assert not re.search("[\u202a-\u202e\u200b\ud800]", plain(text))
    assert plain_values({"a\x1b[2J": [text, 5, None]}) == {"a": [plain(text), 5, None]}
    assert "\x1b" not in str(MacGPUError(f"host \x1b]0;x\x07{text}"))


@pytest.mark.parametrize(
    "ename", ["ValueError", "a\0b", "\ud800", "", "__import__('os')", "SystemExit", "x" * 10_000]
)
def test_an_error_of_any_name_can_be_shown(ename: str) -> None:
    error = RemoteError.rebuilt(ename, "text", ["line"])
    assert isinstance(error, RemoteError)
    assert str(error) == "text"
    assert html.escape(type(error).__name__)


def test_the_payloads_are_as_many_as_they_should_be() -> None:
    assert len(PAGES) + len(DROPPED) >= 40
