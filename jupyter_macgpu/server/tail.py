"""What one run has shown so far, and what of it a browser lacks."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ..recorder import Recorder

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ..wire import messages as m
    from .rows import Row

#: Characters of one stream that are kept; of a longer one, the last half of these.
MOST = 4_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Had:
    """What a browser has of a run's outputs.

    Attributes
    ----------
    generation
        Which state of the outputs it was: while this stays, they only grow.
    count
        How many outputs.
    length
        Characters of the last one, if it is a stream.
    """

    generation: int = -1
    count: int = 0
    length: int = 0


class Tail:
    """The outputs of one run, record by record. May be used by several threads.

    Parameters
    ----------
    run
        Its id.
    host, trust
        Where it is; what comes from a host of data only is screened.

    Attributes
    ----------
    has_ended
        Whether its host has said its end.
    final
        Whether browsers are told that nothing more will come.
    lost
        Characters of long streams that were left out here; the host has them.
    """

    def __init__(self, run: str, host: str, trust: str) -> None:
        self.run = run
        self.has_ended = False
        self.final = False
        self.lost = 0
        self.recorder = Recorder(host, trust)
        self._generation = 0
        self._marks: list[tuple[Row, Any]] = []
        self._lock = threading.Lock()

    def take(self, records: Iterable[m.Output]) -> int:
        """Take records; return the index of the first output that is new or another."""
        with self._lock:
            for record in records:
                self.recorder.output(record)
            return self._compare()

    def finish(self) -> None:
        """Note that nothing more will come."""
        with self._lock:
            self.final = True

    def whole(self) -> Row:
        """Return all of it."""
        with self._lock:
            return {
                "run": self.run,
                "outputs": [dict(output) for output in self.recorder.outputs],
                "final": self.final,
                "lost": self.lost,
            }

    def since(self, first: int, had: Had) -> tuple[Row, Had]:
        """Return what a browser lacks that has what `had` says, and what it has then.

        Parameters
        ----------
        first
            Index of the first output that has changed since, if not all only grew.
        """
        with self._lock:
            outputs, added = self.recorder.outputs, ""
            if had.generation == self._generation:
                first = had.count
                if had.count and (text := _text(outputs[had.count - 1])) is not None:
                    added = text[had.length :]
            else:
                first = min(first, had.count, len(outputs))
            said = {
                "run": self.run,
                "append": added,
                "from": first,
                "outputs": [dict(output) for output in outputs[first:]],
                "final": self.final,
            }
            last = _text(outputs[-1]) if outputs else None
            length = 0 if last is None else len(last)
            return said, Had(generation=self._generation, count=len(outputs), length=length)

    def _compare(self) -> int:
        """Note what has changed since the last time; return where that begins."""
        before, outputs = self._marks, self.recorder.outputs
        self._shorten(outputs)
        self._marks = [(output, _content(output)) for output in outputs]
        first = len(before)
        for index, (output, content) in enumerate(before):
            same = index < len(outputs) and outputs[index] is output
            if same and _content(output) is content:
                continue
            first = index
            if not (same and index == len(before) - 1 and _has_grown(output, content)):
                self._generation += 1
            break
        return first

    def _shorten(self, outputs: list[Row]) -> None:
        for output in outputs[-2:]:
            text = _text(output)
            if text is not None and len(text) > MOST:
                self.lost += len(text) - MOST // 2
                output["text"] = text[-(MOST // 2) :]


def _text(output: Row) -> str | None:
    return output["text"] if output["output_type"] == "stream" else None


def _content(output: Row) -> Any:
    return output.get("text") if output["output_type"] == "stream" else output.get("data")


def _has_grown(output: Row, before: Any) -> bool:
    text = _text(output)
    return text is not None and text.startswith(before)
