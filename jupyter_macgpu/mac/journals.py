"""What is kept of runs: the journals that are open, an empty file for the next one, stored bundles.

Runs on the Mac. Only Python and `wire` may be imported here.
"""

from __future__ import annotations

import contextlib
import os
import re
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from .journal import Journal

if TYPE_CHECKING:
    from collections.abc import Collection
    from pathlib import Path

    from . import store

#: Seconds between two times that the output of runs which nobody waits for is brought to the disk.
_SETTLE_EVERY = 5.0
#: What may stand in a file's name: a run's id or an operation's.
NAME = re.compile(r"[0-9a-f]{32}|op-[0-9]{1,12}")


class Journals:
    """A store's journals.

    Parameters
    ----------
    place
        The store.
    """

    def __init__(self, place: store.Store) -> None:
        self._place = place
        self._open: dict[str, Journal] = {}
        self._spare = -1
        self._settled = 0.0
        #: Where the output that is on the disk ends, by run.
        self._ends: dict[str, int] = {}
        # Texts, since each step of a `Path` costs more than the renaming that it is for.
        self._spare_path = str(place.spare)
        self._runs = str(place.spare.parent)

    def get(self, run: str) -> Journal:
        """Return a run's journal, opened once."""
        if run not in self._open:
            self._open[run] = Journal(self._place.journal(run), run)
        return self._open[run]

    def new(self, run: str) -> Journal:
        """Return the journal of a run that is new."""
        path, fd = f"{self._runs}/{run}.journal", self._spare
        self._spare = -1
        if fd >= 0:
            try:
                # Renaming a file costs a seventh of making one.
                os.rename(self._spare_path, path)  # noqa: PTH104
            except OSError:
                os.close(fd)
                fd = -1
        self._open[run] = file = Journal(path, run, fd)
        return file

    def stored(self, subject: str, what: str) -> tuple[Path | memoryview | None, int]:
        """Return where a run's or an operation's ``inputs`` or ``result`` are, and their size."""
        place = self._place
        if not NAME.fullmatch(subject) or what not in ("result", "inputs"):
            return None, 0
        path = {"result": place.result, "inputs": place.inputs}[what](subject)
        if path.exists():
            return path, path.stat().st_size
        if what == "inputs" and place.journal(subject).exists():
            whole = b"".join(self.get(subject).first().buffers)
            return (memoryview(whole), len(whole)) if whole else (None, 0)
        return None, 0

    def keep(self, session: str, subject: str) -> None:
        """Take a result's file from the folder of a session's worker."""
        source = self._place.worker(session) / "results" / f"{subject}.result"
        # A supervisor that died behind this line took it already.
        with contextlib.suppress(FileNotFoundError):
            source.replace(self._place.result(subject))

    def make_spare(self) -> None:
        """Make the next journal's file while nobody waits for it."""
        if self._spare < 0:
            flags = os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC | os.O_NOFOLLOW
            with contextlib.suppress(OSError):
                self._spare = os.open(self._spare_path, flags, 0o600)

    def sync(self, run: str) -> None:
        """Bring a run's journal to the disk, if it is open."""
        if run in self._open:
            self._open[run].sync()

    def settle(self, runs: Collection[str], now: float) -> None:
        """Bring what some runs have shown to the disk, now and then.

        Parameters
        ----------
        now
            Seconds of any one clock.
        """
        if now - self._settled < _SETTLE_EVERY:
            return
        self._settled = now
        for run in runs:
            if run in self._open and self._open[run].end != self._ends.get(run):
                self._open[run].sync()
        self._ends = {run: self._open[run].end for run in runs if run in self._open}

    def copy(self, run: str, source: str, options: dict[str, Any]) -> None:
        """Make the journal of a run that does again what another one was to do."""
        with contextlib.suppress(FileNotFoundError):
            self._place.inputs(run).unlink(missing_ok=True)
            self._place.inputs(run).hardlink_to(self._place.inputs(source))
        first = self.get(source).first()
        self.new(run).submit(replace(first, run=run, options=options))

    def drop(self, run: str) -> None:
        """Delete a run's journal."""
        if run in self._open:
            self._open.pop(run).close()
        self._place.journal(run).unlink(missing_ok=True)

    def tidy(self, read: Collection[str]) -> None:
        """Close what nobody writes any more, and nobody of `read` reads."""
        for run in [run for run, file in self._open.items() if file.closed]:
            if run not in read:
                self._open.pop(run).close()

    def close(self) -> None:
        """Close all of them."""
        for journal in self._open.values():
            journal.close()
        if self._spare >= 0:
            os.close(self._spare)
