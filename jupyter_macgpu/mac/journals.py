"""What is kept of runs: the journals that are open, an empty file for the next one, stored bundles.

Runs on the Mac. Only Python and `wire` may be imported here.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from ..wire import bundle
from ..wire.errors import RemoteProtocolError
from .blobs import with_blobs
from .journal import Journal

if TYPE_CHECKING:
    from collections.abc import Collection
    from pathlib import Path

    from ..wire import messages as m
    from . import store
    from .records import Run

#: Bytes of a bundle that are written in one go.
_CHUNK = 1024 * 1024
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
                os.rename(self._spare_path, path)  # noqa: PTH104 (once a run)
            except OSError:
                os.close(fd)
                fd = -1
        self._open[run] = file = Journal(path, run, fd)
        return file

    def stored(self, subject: str, what: str) -> tuple[Path | bundle.Pieces | None, int]:
        """Return where a run's or an operation's ``inputs`` or ``result`` are, and their size."""
        place = self._place
        if not NAME.fullmatch(subject) or what not in ("result", "inputs"):
            return None, 0
        if what == "inputs":
            return self._inputs(subject)
        path = place.result(subject)
        return (path, path.stat().st_size) if path.exists() else (None, 0)

    def _inputs(self, run: str) -> tuple[Path | bundle.Pieces | None, int]:
        path = self._place.inputs(run)
        if self._place.lent(run).exists():
            with contextlib.suppress(OSError, RemoteProtocolError):
                whole = self.whole(run)
                return whole, whole.size
            return None, 0
        if path.exists():
            return path, path.stat().st_size
        if self._place.journal(run).exists():
            inline = self.get(run).first().buffers
            return (whole := bundle.Pieces([memoryview(part) for part in inline])), whole.size
        return None, 0

    def given(self, run: Run, buffers: m.Buffers | None, *, apart: bool) -> dict[str, Any]:
        """Return where a worker finds a run's inputs, as `Execute` has it.

        Parameters
        ----------
        buffers
            The bundle, if it is in memory.
        apart
            Whether the worker knows blobs; an older one is given all in one file.

        Raises
        ------
        OSError
            If that file cannot be written.
        """
        file, folder = self._place.inputs(run.run), ""
        if run.blobs and self._place.lent(run.run).exists():
            if apart:
                folder = str(self._place.lent(run.run))
            else:
                self._join(run.run, file)
                buffers = None
        if buffers is None and file.exists():
            return {"path": str(file), "size": file.stat().st_size, "blobs": folder}
        if buffers is None:
            buffers = self.get(run.run).first().buffers
        return {"buffers": buffers, "blobs": folder}

    def _join(self, run: str, file: Path) -> None:
        """Put a run's blobs into its bundle, for good."""
        whole, fresh = self.whole(run), file.with_suffix(".joined")
        with fresh.open("wb", buffering=0) as target:
            for at in range(0, whole.size, _CHUNK):
                for view in whole.cut(at, min(_CHUNK, whole.size - at)):
                    while view:
                        view = view[target.write(view) :]
        fresh.replace(file)
        shutil.rmtree(self._place.lent(run))

    def whole(self, run: str) -> bundle.Pieces:
        """Return the bundle of a run that has blobs, with these in it.

        Raises
        ------
        OSError, RemoteProtocolError
            If something of it is not there.
        """
        path = self._place.inputs(run)
        rest = path.read_bytes() if path.exists() else b"".join(self.get(run).first().buffers)
        return with_blobs(memoryview(rest), self._place.lent(run))

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
