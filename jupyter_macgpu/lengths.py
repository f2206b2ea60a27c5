"""How long the notebook's cells took, for the next time that one of them is placed.

What is kept is work: seconds of running times the speed of the host, so that runs on unequal hosts
tell the same. It stands in this side's record (`ledger`), and is read from there once.
"""

from __future__ import annotations

import hashlib
import json
import statistics
import threading
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from .ledger import Ledger, past_work
from .report import lasting
from .scheduling.weights import NEUTRAL_SPEED

if TYPE_CHECKING:
    from collections.abc import Mapping

    from .cell import Cell
    from .scheduling.status import HostStatus

#: Runs of a cell that are looked at, the last ones: their median bears two that were unlike.
LOOKED_AT = 5
#: Seconds that are longer than any run.
_LONGEST = 1e7


@dataclass(frozen=True, slots=True, kw_only=True)
class Past:
    """What a cell's last runs tell of the next one.

    Attributes
    ----------
    seconds
        Median of their lengths, on a machine of speed 1.
    runs
        How many they were.
    is_edited
        Whether they were of an earlier text of the cell.
    """

    seconds: float
    runs: int
    is_edited: bool = False

    def text(self) -> str:
        """Return it as a line for people."""
        of = "run" if self.runs == 1 else f"{self.runs} runs"
        edited = ", before it was edited" if self.is_edited else ""
        return f"taken to need {lasting(self.seconds)} on an M1, as its last {of} did{edited}"

    def as_json(self) -> dict[str, Any]:
        """Return it as it is stored with a run's ranking."""
        return {"seconds": round(self.seconds, 3), "runs": self.runs, "edited": self.is_edited}


def past_of(told: object) -> Past | None:
    """Read what `Past.as_json` made; None for what is not as it should be."""
    if not isinstance(told, dict):
        return None
    seconds, runs = _length(told.get("seconds")), told.get("runs")
    if seconds is None or type(runs) is not int:
        return None
    return Past(seconds=seconds, runs=runs, is_edited=told.get("edited") is True)


def text_key(cell: Cell) -> str:
    """Return what tells a cell's text from others; of a script its text, of a call its function."""
    program = cell.program
    told = [cell.known_as or cell.source.strip()]
    if program is not None:
        told = [*program.argv, program.script or ""]
    content = json.dumps(told).encode()
    return hashlib.sha256(content).hexdigest()[:16]


class Lengths:
    """The cells of one notebook that ended well, and how long they took. For several threads.

    Parameters
    ----------
    notebook
        Its name.
    """

    def __init__(self, notebook: str) -> None:
        self._notebook = notebook
        self._ledger = Ledger()
        self._lock = threading.Lock()
        self._runs: set[str] = set()
        self._work: dict[tuple[str, str], deque[float]] = {}
        self._is_read = False

    def of(self, origin: Mapping[str, Any]) -> Past | None:
        """Return what is known of a cell; None if nothing is.

        Runs of the same text count. If there are none, those of the cell with the same id do: it
        was edited since.

        Parameters
        ----------
        origin
            As `wire.messages.Submit` has it.
        """
        with self._lock:
            self._read()
            for key in _keys(origin):
                if work := self._work.get(key):
                    return Past(
                        seconds=statistics.median(work), runs=len(work), is_edited=key[0] == "cell"
                    )
        return None

    def told(self, row: Mapping[str, Any], status: HostStatus) -> None:
        """Take in a run, as its host lists it, if it ended well; see `learn`."""
        if row.get("state") == "ok":
            is_cpu = bool((row.get("options") or {}).get("cpu"))
            origin = row.get("origin") or {}
            self.learn(str(row["run"]), origin, row.get("ran"), status, is_cpu=is_cpu)

    def learn(
        self,
        run: str,
        origin: Mapping[str, Any],
        seconds: object,
        status: HostStatus,
        *,
        is_cpu: bool = False,
    ) -> None:
        """Take in a run of this notebook that ended well; what its host said may be anything.

        Where it cannot be written down, later kernels do not know of it.

        Parameters
        ----------
        seconds
            How long it ran.
        status
            Of the host: its speed, as far as that is known.
        """
        told = status.cpu_speed if is_cpu else status.gpu_speed
        speed = NEUTRAL_SPEED if told is None else told.value
        took = _length(seconds)
        if took is None or origin.get("notebook") != self._notebook:
            return
        work = round(took * speed, 3)
        with self._lock:
            self._read()
            if self._take(run, origin, work):
                self._ledger.worked(run, origin, work)

    def close(self) -> None:
        """Close the record."""
        self._ledger.close()

    def _read(self) -> None:
        if self._is_read:
            return
        self._is_read = True
        for entry in past_work(self._notebook):
            if _length(entry.work) is not None:
                self._take(entry.run, entry.origin, entry.work)

    def _take(self, run: str, origin: Mapping[str, Any], work: float) -> bool:
        """Count a run, once; say whether it was new."""
        if run in self._runs:
            return False
        self._runs.add(run)
        for key in _keys(origin):
            self._work.setdefault(key, deque(maxlen=LOOKED_AT)).append(work)
        return True


def _length(told: object) -> float | None:
    """Return seconds that somebody told, if they can be the length of a run."""
    if isinstance(told, bool) or not isinstance(told, (int, float)):
        return None
    return float(told) if 0 <= told <= _LONGEST else None


def _keys(origin: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Return what a cell is known by, the surest first."""
    return [(kind, str(origin[kind])) for kind in ("text", "cell") if origin.get(kind)]
