"""What a run shows, as a notebook's file has it: nbformat 4, the shape that front ends write.

Pure: records in, outputs out.
"""

from __future__ import annotations

import codecs
from typing import TYPE_CHECKING, Any

from .screening import screened_text
from .wire.content import Joiner

if TYPE_CHECKING:
    from .screening import Screen
    from .wire import messages as m

Json = dict[str, Any]


class Recording:
    """The outputs of one cell, record by record.

    Parameters
    ----------
    count
        The cell's number.
    displays
        Outputs of the whole notebook by display id; a later cell may update them.
    screen
        What everything goes through, if the host's trust is ``data``.
    """

    def __init__(
        self, count: int, displays: dict[str, list[Json]], screen: Screen | None = None
    ) -> None:
        self.outputs: list[Json] = []
        self._count = count
        self._displays = displays
        self._screen = screen
        self._joiner = Joiner()
        make = codecs.getincrementaldecoder("utf-8")
        self._decoders = {name: make("replace") for name in ("stdout", "stderr")}
        self._clears = False

    def output(self, output: m.Output) -> None:
        """Take one record."""
        if output.what == "stream":
            name = "stderr" if output.content.get("name") == "stderr" else "stdout"
            text = self._decoders[name].decode(b"".join(output.buffers))
            self._stream(name, text if self._screen is None else self._screen.stream(name, text))
            return
        content = self._joiner.take(output.what, output.content, output.buffers)
        take = getattr(self, f"_take_{output.what}", None)
        if content is not None and take is not None:
            take(content)

    def finish(self) -> list[Json]:
        """Return the outputs, with the rest of what the streams still owe."""
        for name, decoder in self._decoders.items():
            self._stream(name, decoder.decode(b"", final=True))
        return self.outputs

    def _stream(self, name: str, text: str) -> None:
        if not text:
            return
        self._clear()
        last = self.outputs[-1] if self.outputs else {}
        if last.get("output_type") == "stream" and last["name"] == name:
            last["text"] += text
        else:
            self.outputs.append({"output_type": "stream", "name": name, "text": text})

    def _take_display_data(self, content: Json) -> None:
        self._show("display_data", content)

    def _take_execute_result(self, content: Json) -> None:
        self._show("execute_result", content, execution_count=self._count)

    def _take_update_display_data(self, content: Json) -> None:
        data, metadata = self._bundle(content)
        for output in self._displays.get(self._display_of(content), []):
            output["data"], output["metadata"] = data, metadata

    def _take_clear_output(self, content: Json) -> None:
        self._clears = True
        if not content.get("wait"):
            self._clear()

    def _take_error(self, content: Json) -> None:
        self._clear()
        lines = [str(line) for line in content.get("traceback") or ()]
        self.outputs.append(
            {
                "output_type": "error",
                "ename": str(content.get("ename", "")),
                "evalue": str(content.get("evalue", "")),
                "traceback": [
                    line if self._screen is None else screened_text(line) for line in lines
                ],
            }
        )

    def _take_gap(self, content: Json) -> None:
        most = int(content.get("at_most", 0)) // 1024
        self._stream("stderr", f"macgpu: up to {most} KiB of output may be missing here\n")

    def _show(self, kind: str, content: Json, **more: Any) -> None:
        data, metadata = self._bundle(content)
        if not data:
            return
        self._clear()
        output = {"output_type": kind, "data": data, "metadata": metadata, **more}
        self.outputs.append(output)
        if name := self._display_of(content):
            self._displays.setdefault(name, []).append(output)

    def _bundle(self, content: Json) -> tuple[Json, Json]:
        data, metadata = content.get("data") or {}, content.get("metadata") or {}
        return (data, metadata) if self._screen is None else self._screen.bundle(data, metadata)

    @staticmethod
    def _display_of(content: Json) -> str:
        return str((content.get("transient") or {}).get("display_id") or "")

    def _clear(self) -> None:
        if self._clears:
            self._clears = False
            self.outputs.clear()
