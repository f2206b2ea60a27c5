"""What a host of data only may show in the notebook: text, pictures, and pages that do nothing.

A front end trusts the outputs of a cell that ran in it: HTML of theirs is HTML of the notebook's,
and a script in it can run code in the kernel. So what comes from a host with ``trust: data`` is let
through by kind; a page stands in a frame in which nothing runs and nothing is loaded from
elsewhere, and a drawing in an image. What is left out is said, once a run for each kind.
"""

from __future__ import annotations

import base64
import binascii
import html
import re
import struct
from typing import TYPE_CHECKING, Any

from .wire.plain import plain_line

if TYPE_CHECKING:
    from collections.abc import Callable

Json = dict[str, Any]

_HELD = 4096
#: Colours, which stay; whole escape sequences; characters that control something.
_ESCAPES = re.compile(
    r"(?P<colour>\x1b\[[0-9;:]*m)"
    r"|(?:\x1b[\]PX^_]|[\x90\x98\x9d-\x9f])[^\x07\x1b\x9c]{0,4096}(?:\x07|\x1b\\|\x9c)?"
    r"|(?:\x1b\[|\x9b)[0-?]*[ -/]*[@-~]?"
    r"|\x1b[ -/]*[0-~]?"
    r"|[\x00-\x07\x0b\x0c\x0e-\x1a\x1c-\x1f\x7f-\x9f]"
)
#: What may be the beginning of a sequence whose rest has not come.
_BEGUN = re.compile(
    r"(?:\x1b(?:\[[0-?]*[ -/]*|[ -/]*)|\x9b[0-?]*[ -/]*"
    r"|(?:\x1b[\]PX^_]|[\x90\x98\x9d-\x9f])[^\x07\x1b\x9c]*\x1b?)\Z"
)
_BASE64 = re.compile(r"[A-Za-z0-9+/\s]*={0,2}\s*")
#: Pixels of a picture above which a browser takes gigabytes to show it, and bytes of base64.
_PIXELS = 10**8
_LONGEST = 64 * 2**20
_PAGE = (
    '<meta http-equiv="Content-Security-Policy" content="default-src \'none\'; '
    "img-src data:; font-src data:; style-src 'unsafe-inline'\">"
)
_FRAME = (
    '<iframe sandbox="" title="page without scripts" referrerpolicy="no-referrer" '
    'style="width:100%;height:400px;border:0" srcdoc="{}"></iframe>'
)
_DRAWING = '<img alt="drawing" src="data:image/svg+xml;base64,{}">'
#: What metadata may say of a picture or of JSON, and by which type.
_METADATA: dict[str, dict[str, tuple[type, ...]]] = {
    "image/png": {"width": (int, float), "height": (int, float)},
    "image/jpeg": {"width": (int, float), "height": (int, float)},
    "application/json": {"expanded": (bool,)},
}


class Screen:
    """What one run on one host may show.

    Parameters
    ----------
    host
        Its name.
    """

    def __init__(self, host: str) -> None:
        self.host = host
        self._tails: dict[str, str] = {}
        self._said: set[str] = set()
        self._notes: list[str] = []

    def stream(self, name: str, text: str) -> str:
        """Return a piece of a stream; what may be half a sequence waits for its rest."""
        text = self._tails.pop(name, "") + text
        begun = _BEGUN.search(text, max(0, len(text) - _HELD))
        if begun is not None:
            self._tails[name] = text[begun.start() :]
            text = text[: begun.start()]
        return screened_text(text)

    def bundle(self, data: object, metadata: object) -> tuple[Json, Json]:
        """Return the representations that may be shown, and what may be said of them."""
        shown: Json = {}
        for kind, value in data.items() if isinstance(data, dict) else ():
            made = _SHOWN[kind](value) if kind in _SHOWN else None
            if made is None:
                self.leave_out(str(kind))
            elif made[0] != "text/html" or kind == "text/html" or "text/html" not in shown:
                shown[made[0]] = made[1]
        return shown, _metadata(metadata, shown)

    def transient(self, transient: object) -> Json:
        """Return a display's id as one of this host's own: it changes no display of others."""
        named = transient.get("display_id") if isinstance(transient, dict) else None
        if not isinstance(named, str):
            return {}
        return {"display_id": f"macgpu:{self.host}:{plain_line(named)[:200]}"}

    def leave_out(self, what: str) -> None:
        """Note that something is not shown."""
        what = plain_line(what)[:80]
        # A host can make up kinds without end.
        if what not in self._said and len(self._said) < 20:
            self._said.add(what)
            self._notes.append(
                f"{what} from {self.host} is not shown: its trust is `data`, so that it shows "
                "text, pictures and pages without scripts"
            )

    def notes(self) -> list[str]:
        """Return the lines that were not taken yet."""
        taken, self._notes = self._notes, []
        return taken


def screen_for(host: str, trust: str) -> Screen | None:
    """Return what the outputs of a host go through, or None if it is trusted."""
    return Screen(host) if trust == "data" else None


def screened_text(text: str) -> str:
    """Return text for a terminal with colours, carriage returns and backspaces alone."""
    if text.isprintable():
        return text
    return _ESCAPES.sub(lambda found: found["colour"] or "", text)


def _text(value: object) -> tuple[str, object] | None:
    joined = _joined(value)
    return None if joined is None else ("text/plain", screened_text(joined))


def _page(value: object) -> tuple[str, object] | None:
    joined = _joined(value)
    if joined is None:
        return None
    return "text/html", _FRAME.format(html.escape(_PAGE + joined, quote=True))


def _drawing(value: object) -> tuple[str, object] | None:
    joined = _joined(value)
    if joined is None:
        return None
    encoded = base64.b64encode(joined.encode("utf-8", "replace")).decode()
    return "text/html", _DRAWING.format(encoded)


def _json(value: object) -> tuple[str, object] | None:
    return "application/json", value


def _png(value: object) -> tuple[str, object] | None:
    raw = _picture(value, b"\x89PNG\r\n\x1a\n")
    if raw is None or raw[12:16] != b"IHDR" or len(raw) < 24:
        return None
    width, height = struct.unpack_from(">II", raw, 16)
    return ("image/png", _joined(value)) if width * height <= _PIXELS else None


def _jpeg(value: object) -> tuple[str, object] | None:
    raw = _picture(value, b"\xff\xd8\xff")
    return None if raw is None or _jpeg_pixels(raw) > _PIXELS else ("image/jpeg", _joined(value))


def _picture(value: object, magic: bytes) -> bytes | None:
    joined = _joined(value)
    if joined is None or len(joined) > _LONGEST or not _BASE64.fullmatch(joined):
        return None
    try:
        raw = base64.b64decode(joined)
    except (ValueError, binascii.Error):
        return None
    return raw if raw.startswith(magic) else None


def _jpeg_pixels(raw: bytes) -> int:
    """Return the largest number of pixels that a frame's head in a JPEG names."""
    most, at = 0, 2
    while at + 9 <= len(raw) and raw[at] == 0xFF:
        kind, length = raw[at + 1], struct.unpack_from(">H", raw, at + 2)[0]
        if 0xC0 <= kind <= 0xCF and kind not in (0xC4, 0xC8, 0xCC):
            height, width = struct.unpack_from(">HH", raw, at + 5)
            most = max(most, height * width)
        at += 2 + length
    return most


def _joined(value: object) -> str | None:
    if isinstance(value, list) and all(isinstance(line, str) for line in value):
        return "".join(value)
    return value if isinstance(value, str) else None


def _metadata(metadata: object, shown: Json) -> Json:
    kept: Json = {}
    for kind, allowed in _METADATA.items():
        said = metadata.get(kind) if isinstance(metadata, dict) else None
        if kind in shown and isinstance(said, dict):
            kept[kind] = {
                name: said[name] for name, types in allowed.items() if type(said.get(name)) in types
            }
    return {kind: said for kind, said in kept.items() if said}


_SHOWN: dict[object, Callable[[object], tuple[str, object] | None]] = {
    "text/plain": _text,
    "text/html": _page,
    "image/svg+xml": _drawing,
    "image/png": _png,
    "image/jpeg": _jpeg,
    "application/json": _json,
}
